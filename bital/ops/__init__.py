"""The operators: one declaration each, in the file of its family. Importing this makes them all."""

from bital.ops import activation  # noqa: F401
from bital.ops import arithmetic  # noqa: F401
from bital.ops import axes  # noqa: F401
from bital.ops import binary  # noqa: F401
from bital.ops import blend  # noqa: F401
from bital.ops import cast  # noqa: F401
from bital.ops import compare  # noqa: F401
from bital.ops import create  # noqa: F401
from bital.ops import data  # noqa: F401
from bital.ops import division  # noqa: F401
from bital.ops import extremes  # noqa: F401
from bital.ops import index  # noqa: F401
from bital.ops import indexing  # noqa: F401
from bital.ops import join  # noqa: F401
from bital.ops import matmul  # noqa: F401
from bital.ops import part  # noqa: F401
from bital.ops import polynomials  # noqa: F401
from bital.ops import power  # noqa: F401
from bital.ops import random  # noqa: F401
from bital.ops import reduce  # noqa: F401
from bital.ops import rounding  # noqa: F401
from bital.ops import special  # noqa: F401
from bital.ops import split  # noqa: F401
from bital.ops import unary  # noqa: F401
from bital.ops import view  # noqa: F401
from bital.ops import window  # noqa: F401
