"""Seed functions for chat models: grids."""


def transpose(grid):
    """Swaps the rows and columns of a grid.

    >>> transpose([[1, 2, 3], [4, 5, 6]])
    [[1, 4], [2, 5], [3, 6]]
    >>> transpose([])
    []
    >>> transpose([[1]])
    [[1]]
    >>> transpose([[1], [2], [3]])
    [[1, 2, 3]]
    >>> transpose([['a', 'b'], ['c', 'd']])
    [['a', 'c'], ['b', 'd']]
    >>> transpose([[0, 0, 0]])
    [[0], [0], [0]]
    >>> transpose([[1, 2], [3, 4], [5, 6]])
    [[1, 3, 5], [2, 4, 6]]
    >>> transpose([['x', 'y', 'z']])
    [['x'], ['y'], ['z']]
    >>> transpose([[True, False], [False, True]])
    [[True, False], [False, True]]
    >>> transpose([[9, 8], [7, 6]])
    [[9, 7], [8, 6]]
    """
    return [list(column) for column in zip(*grid)]


def neighbours_sum(grid, row, column):
    """Adds up the fields above, below, left and right of a field.

    >>> neighbours_sum([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 1, 1)
    20
    >>> neighbours_sum([[1, 2], [3, 4]], 0, 0)
    5
    >>> neighbours_sum([[5]], 0, 0)
    0
    >>> neighbours_sum([[1, 2, 3]], 0, 1)
    4
    >>> neighbours_sum([[1], [2], [3]], 2, 0)
    2
    >>> neighbours_sum([[0, 9], [9, 0]], 1, 1)
    18
    >>> neighbours_sum([[1, 1], [1, 1]], 0, 1)
    2
    >>> neighbours_sum([[2, 4, 6], [8, 10, 12]], 1, 2)
    16
    >>> neighbours_sum([[3, 0, 3]], 0, 0)
    0
    >>> neighbours_sum([[1, 2], [3, 4], [5, 6]], 1, 0)
    10
    """
    total = 0
    for dr, dc in [(-1, 0), (1, 0), (0, -1), (0, 1)]:
        r, c = row + dr, column + dc
        if 0 <= r < len(grid) and 0 <= c < len(grid[r]):
            total += grid[r][c]
    return total


def fill_rows(width, values):
    """Lays values out in rows of a width and fills the last one with zeros.

    >>> fill_rows(3, [1, 2, 3, 4])
    [[1, 2, 3], [4, 0, 0]]
    >>> fill_rows(2, [])
    []
    >>> fill_rows(4, [7])
    [[7, 0, 0, 0]]
    >>> fill_rows(1, [5, 6])
    [[5], [6]]
    >>> fill_rows(2, [1, 2, 3])
    [[1, 2], [3, 0]]
    >>> fill_rows(5, [9, 9, 9])
    [[9, 9, 9, 0, 0]]
    >>> fill_rows(3, [0, 0, 0])
    [[0, 0, 0]]
    >>> fill_rows(2, [4, 3, 2, 1])
    [[4, 3], [2, 1]]
    >>> fill_rows(6, [1, 2, 3, 4, 5, 6, 7])
    [[1, 2, 3, 4, 5, 6], [7, 0, 0, 0, 0, 0]]
    >>> fill_rows(3, [8, 8])
    [[8, 8, 0]]
    """
    rows = []
    for start in range(0, len(values), width):
        row = values[start : start + width]
        rows.append(row + [0] * (width - len(row)))
    return rows


def saddle_points(grid):
    """Lists the fields that are the largest of their row and the smallest of their column.

    >>> saddle_points([[9, 8, 7], [5, 3, 2], [6, 6, 7]])
    [(1, 0)]
    >>> saddle_points([[1, 2], [3, 4]])
    [(0, 1)]
    >>> saddle_points([[5]])
    [(0, 0)]
    >>> saddle_points([[1, 1], [1, 1]])
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    >>> saddle_points([])
    []
    >>> saddle_points([[4, 2], [3, 1]])
    [(1, 0)]
    >>> saddle_points([[1, 3, 2]])
    [(0, 1)]
    >>> saddle_points([[2], [1]])
    [(1, 0)]
    >>> saddle_points([[8, 1], [9, 2]])
    [(0, 0)]
    >>> saddle_points([[0, 5], [5, 0]])
    []
    """
    points = []
    for r, row in enumerate(grid):
        for c, value in enumerate(row):
            column = [other[c] for other in grid]
            if value == max(row) and value == min(column):
                points.append((r, c))
    return points


def walk(moves):
    """Follows moves on a grid and counts the different fields that were visited.

    >>> walk('UURR')
    ((2, 2), 5)
    >>> walk('')
    ((0, 0), 1)
    >>> walk('UDUD')
    ((0, 0), 2)
    >>> walk('RULD')
    ((0, 0), 4)
    >>> walk('LLL')
    ((-3, 0), 4)
    >>> walk('RRUULLDD')
    ((0, 0), 8)
    >>> walk('U')
    ((0, 1), 2)
    >>> walk('DLDL')
    ((-2, -2), 5)
    >>> walk('RLRLU')
    ((0, 1), 3)
    >>> walk('UURDDL')
    ((0, 0), 6)
    """
    steps = {"U": (0, 1), "D": (0, -1), "L": (-1, 0), "R": (1, 0)}
    x = y = 0
    visited = {(0, 0)}
    for move in moves:
        dx, dy = steps[move]
        x, y = x + dx, y + dy
        visited.add((x, y))
    return (x, y), len(visited)
