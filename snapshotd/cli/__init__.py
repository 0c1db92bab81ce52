"""Flags and environment to settings, one small module a command; exit codes.

0: done, or asked to stop. 1: something failed. 2: a flag, file or variable is wrong; the message on
standard error says what to do.
"""
