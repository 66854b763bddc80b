"""How Sphinx makes the manual of these pages: `make docs`. Nothing is loaded from a network, neither here nor by the pages."""

project = "patch-triage"
copyright = "the patch-triage developers"
extensions = ["myst_parser"]
root_doc = "manual"
exclude_patterns = ["ci/*"]
myst_heading_anchors = 3  # [see](formats.md#trajectory), as on a forge
html_theme = "alabaster"
html_theme_options = {"description": "Is this kernel change worth fuzzing?", "page_width": "62rem"}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_show_copyright = False
highlight_language = "none"
