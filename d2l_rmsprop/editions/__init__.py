"""What the optimization chapters of the book's older editions import.

``utils`` is for the preview of 2017 and 2018, ``gluonbook`` for the one of late 2018, ``d2lzh`` for
the first edition, ``d2lzh_pytorch`` and ``d2lzh_tensorflow2`` for its two community editions. A
chapter runs with only its import changed: ``from d2l_rmsprop.editions import d2lzh as d2l``. They
train, draw and read data as every other chapter of this package does; only names, the order of
arguments and what is printed are the edition's. Other chapters of these books, and their other
data sets, are not here. The second edition and later ones need none of this: ``from d2l_rmsprop
import torch as d2l``.
"""

EDITIONS = ("utils", "gluonbook", "d2lzh", "d2lzh_pytorch", "d2lzh_tensorflow2")
