"""Contractions shared by every unit function, written once for any number p of own parameters.

A kernel is a folder in the cache: `unit.py`, generated for one unit function, beside verbatim copies of the modules of
this folder, which import it as `.unit`. Here `unit.pyi` stands in its place and lists what a generated file offers.
"""
