"""The cluster: the only importer of kubernetes_asyncio and of aiohttp's client.

In the order in which a request meets them:

- `library`, `credentials`, `proxy`  where the API server is, and who we are to it
- `connection`   channels to it, one for each kind of use; `throttle` holds the work channel back
- `messages`     a request and its answer, whoever carries them: `pool`, which keeps connections
                 that speak `http1`; or `sessions`, which is aiohttp, for watches and proxies; all
                 over `sockets` of ours
- `errors`       what an answer means, as one of our errors
- `resources`    which kinds there are, and their paths
- `reflector`    list and watch into the cache; `lines` and `backoff` are its tools
- `writer`       one intent, one API call
- `recorder`     Kubernetes Events, merged by `correlation`
- `lease`        leader election
"""
