"""Find the project's modules that a source needs: its imports, their imports, and so on.

    {where: source} --imported--> names of modules --find_module--> files, which are sources again

An import inside a function counts: some day it is run. Nothing is imported to find this out.
"""

import ast
import importlib.util
import sys

from system.files import BadInput

# packages that may be missing: what needs one says so, or does without
OPTIONAL = {"av", "openvino"}


def closure(sources, root):
    """Return the files under `root` that sources import, directly or not, in the order of paths.

    sources: {where: Python text}, where being the name that an error says. The `__init__.py` of
    every package is among the files. Raises `BadInput` for an import that is found nowhere.
    """
    found, waiting = set(), list(sources.items())
    for where, source in waiting:               # which grows on the way
        for name in imported(source, root):
            file = find_module(name, root, where)
            if file and file not in found:
                found.add(file)
                waiting.append((file.relative_to(root).as_posix(), file.read_text("utf-8")))
    packages = {parent / "__init__.py" for file in found for parent in file.parents
                if root in parent.parents}
    return sorted(found | packages)


def imported(source, root):
    """Yield the dotted names of the modules that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            # our packages hold only modules, so what is imported from one is a module too
            package = root.joinpath(*node.module.split(".")).is_dir()
            yield from (f"{node.module}.{one.name}" for one in node.names) if package else (
                [node.module])


def find_module(name, root, where):
    """Return the file of one of our modules, or None for a module of another package.

    Raises `BadInput`, naming `where` it is imported, if it is neither ours nor installed.
    """
    file = root.joinpath(*name.split(".")).with_suffix(".py")
    if file.is_file():
        return file
    first = name.split(".")[0]
    ours = (root / first).is_dir() or (root / f"{first}.py").exists()
    known = first in sys.stdlib_module_names or first in OPTIONAL
    if not ours and (known or importlib.util.find_spec(first)):
        return None
    raise BadInput(f"{where} imports {name}, and there is no {file.relative_to(root).as_posix()}"
                   " and no installed package of that name: correct the import")
