"""`snapshotd webhook`: converts group objects for the API server, which asks it over TLS.

`certificates` keeps the certificate fresh, `answering` turns a body into an answer, `serving` is
the server and its limits, `command` the role. What is converted into what is `model.conversion`'s.
"""
