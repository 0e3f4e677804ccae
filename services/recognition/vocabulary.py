"""docTR's vocabulary `french`: the characters that the recogniser's classes stand for, in their order."""

from __future__ import annotations

import string

VOCABULARY_FRENCH = (
    string.digits + string.ascii_letters + string.punctuation + "°" + "£€¥¢฿" + "àâéèêëîïôùûüçÀÂÉÈÊËÎÏÔÙÛÜÇ"
)
