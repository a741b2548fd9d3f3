"""An HTML report of a run directory: one file, nothing fetched from elsewhere.

    from ntkspectra.report import page
    text, drawings = page.build("runs/movies")
"""
