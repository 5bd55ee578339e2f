"""The benchmark harness: Pronto, the old design, the peers and the limit, side by side in one run.

``python -m bench run`` measures, ``report`` writes tables and charts, ``compare`` looks for regressions and
``readme`` keeps the table in README.md current. Nothing here is part of the installed product.
"""
