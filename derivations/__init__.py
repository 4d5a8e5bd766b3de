"""From one symbolic unit function to checked formulas: SymPy only, no numerical kernels.

>>> derivation = derive(UnitFunction("z**3 + z"))
>>> [entry.expression for entry in derivation.pointwise if entry.name == "h"]
[2*a**2*s*(3*z**2 + 1)**2]
"""

from derivations import activations
from derivations.derivation import Derivation, derive, derive_general
from derivations.errors import DerivationError, FormulaError, ManifoldflowError
from derivations.notation import NOTATION, notation_table
from derivations.parser import parse_formula
from derivations.pointwise import PointwiseExpression
from derivations.records import Record, Step
from derivations.unit import LAMBDA, S, UnitFunction

__all__ = [
    "LAMBDA",
    "NOTATION",
    "Derivation",
    "DerivationError",
    "FormulaError",
    "ManifoldflowError",
    "PointwiseExpression",
    "Record",
    "S",
    "Step",
    "UnitFunction",
    "activations",
    "derive",
    "derive_general",
    "notation_table",
    "parse_formula",
]
