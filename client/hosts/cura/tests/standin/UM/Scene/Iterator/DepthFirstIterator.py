def DepthFirstIterator(node):
    yield node
    for child in node.children:
        yield from DepthFirstIterator(child)
