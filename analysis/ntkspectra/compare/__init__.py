"""Several run directories side by side: `ntk-compare`.

    units.py        what theory.json says of each kernel and label set of each run
    agreement.py    how well predicted and measured slopes and risks agree over them
    tables.py       Markdown, and one line a unit as tab-separated values
    figures.py      predicted against measured, stopping times against n
    command.py      the command
"""
