"""Reports of derivations: one document, and a writer for each format.

>>> from derivations import UnitFunction, derive
>>> document = build(derive(UnitFunction("sinh(z)")))
>>> markdown(document).splitlines()[0]
'# Derivation for sinh(z)'
"""

from derivations.report.build import build
from derivations.report.document import Document
from derivations.report.html import html
from derivations.report.machine import machine_readable
from derivations.report.markdown import markdown
from derivations.report.notebook import notebook
from derivations.report.pdf import pdf
from derivations.report.tex import tex

__all__ = ["Document", "build", "html", "machine_readable", "markdown", "notebook", "pdf", "tex"]
