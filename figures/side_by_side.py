"""Show what was said of pictures in several ways side by side, as a table in HTML without script.

    pictures, {way: their sentences} --side_by_side--> a row for each picture, a column for each way

With scene graphs, true claims are green and false ones are struck through. Both colours bring
their own ground, so that they can be read on a light page and on a dark one.
"""

from IPython.display import HTML
from jinja2 import Environment

from captioning.gallery import thumbnail
from figures.marking import marked

SIDE = 96               # pixels of a picture's longer side: about 2 kB
# a reader's page may leave the style out: "del" is struck through without it
SIGNS = {True: ("mark", "background: #d3efd3; color: #0b3d0b"),
         False: ("del", "background: #fad9dc; color: #7a0c1c")}
TABLE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
{% set cell = "text-align: left; vertical-align: top" %}
<div style="overflow-x: auto"><table>
<tr>
<th style="{{ cell }}; min-width: 96px">picture</th>
{% for way in ways %}
<th style="{{ cell }}; min-width: 7.5em">{{ way }}</th>
{% endfor %}
</tr>
{% for alt, jpeg, cells in rows %}
<tr>
<td style="{{ cell }}"><img alt="{{ alt }}" src="data:image/jpeg;base64,{{ jpeg }}"></td>
{% for sentences in cells %}
<td style="{{ cell }}">
{% for pieces in sentences %}
<p style="margin: 0 0 0.6em">
{%- for text, holds in pieces %}
{% if holds is none %}{{ text }}{% else %}
<{{ signs[holds][0] }} style="{{ signs[holds][1] }}">{{ text }}</{{ signs[holds][0] }}>
{%- endif %}
{% endfor %}
</p>
{% endfor %}
</td>
{% endfor %}
</tr>
{% endfor %}
</table></div>
""")


def side_by_side(pictures, columns, graphs=None):
    """Return an HTML table of pictures and of what each column says of them.

    columns: {heading: a list of sentences for each picture}.  graphs: the pictures' scene graphs,
    by which claims are marked.
    """
    def pieces(sentence, graph):
        found = marked(sentence, graph) if graph else [(sentence, None)]
        understood = not graph or any(true is not None for _, true in found)
        return found if understood else [*found, (" (not understood)", None)]

    # a picture's alt text is what a person said of it
    rows = [(picture.sentences[0], thumbnail(picture.file, SIDE),
             [[pieces(sentence, graph) for sentence in said] for said in cells])
            for picture, graph, *cells in zip(pictures, graphs or [None] * len(pictures),
                                              *columns.values(), strict=True)]
    return HTML(TABLE.render(ways=columns, rows=rows, signs=SIGNS))
