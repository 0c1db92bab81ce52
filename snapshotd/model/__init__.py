"""What things are: frozen Structs of the fields we read, keys, wire strings and the JSON codec.

No I/O, no clock, and nothing here knows a rule: rules are in `decide`.
"""
