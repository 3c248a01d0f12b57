"""Seed functions for chat models: recursion."""


def nested_sum(values):
    """Adds up the numbers in a list of lists, however deep.

    >>> nested_sum([1, [2, [3, 4]], 5])
    15
    >>> nested_sum([])
    0
    >>> nested_sum([[[]]])
    0
    >>> nested_sum([10, [-10]])
    0
    >>> nested_sum([[1, 1], [1, [1]]])
    4
    >>> nested_sum([0, [0]])
    0
    >>> nested_sum([7])
    7
    >>> nested_sum([[2], [3, [4]]])
    9
    >>> nested_sum([[[[8]]]])
    8
    >>> nested_sum([1, 2, [3]])
    6
    """
    total = 0
    for item in values:
        total += nested_sum(item) if isinstance(item, list) else item
    return total


def depth_of(value):
    """Tells how deep lists are nested in each other.

    >>> depth_of([1, [2, [3]]])
    3
    >>> depth_of(5)
    0
    >>> depth_of([])
    1
    >>> depth_of([[], [[]]])
    3
    >>> depth_of([[1], [2]])
    2
    >>> depth_of('abc')
    0
    >>> depth_of([[[[0]]]])
    4
    >>> depth_of(['a', ['b']])
    2
    >>> depth_of([[], []])
    2
    >>> depth_of([1, 2, 3])
    1
    """
    if not isinstance(value, list):
        return 0
    return 1 + max([depth_of(item) for item in value], default=0)


def subsets(items):
    """Lists all subsets of a few items, the empty one first.

    >>> subsets([1, 2])
    [[], [2], [1], [1, 2]]
    >>> subsets([])
    [[]]
    >>> subsets(['a'])
    [[], ['a']]
    >>> subsets([3, 2, 1])
    [[], [1], [2], [2, 1], [3], [3, 1], [3, 2], [3, 2, 1]]
    >>> subsets([0, 0])
    [[], [0], [0], [0, 0]]
    >>> subsets(['x', 'y'])
    [[], ['y'], ['x'], ['x', 'y']]
    >>> subsets([True])
    [[], [True]]
    >>> subsets([7, 8])
    [[], [8], [7], [7, 8]]
    >>> subsets(['p', 'q', 'r'])
    [[], ['r'], ['q'], ['q', 'r'], ['p'], ['p', 'r'], ['p', 'q'], ['p', 'q', 'r']]
    >>> subsets([9])
    [[], [9]]
    """
    if not items:
        return [[]]
    rest = subsets(items[1:])
    return rest + [[items[0]] + subset for subset in rest]


def hanoi(disks, start, end):
    """Lists the moves that bring a tower of disks from one of three pegs to another.

    >>> hanoi(2, 1, 3)
    [(1, 2), (1, 3), (2, 3)]
    >>> hanoi(0, 1, 2)
    []
    >>> hanoi(1, 2, 3)
    [(2, 3)]
    >>> hanoi(3, 1, 3)
    [(1, 3), (1, 2), (3, 2), (1, 3), (2, 1), (2, 3), (1, 3)]
    >>> hanoi(1, 3, 1)
    [(3, 1)]
    >>> hanoi(2, 3, 2)
    [(3, 1), (3, 2), (1, 2)]
    >>> hanoi(2, 1, 2)
    [(1, 3), (1, 2), (3, 2)]
    >>> hanoi(3, 2, 1)
    [(2, 1), (2, 3), (1, 3), (2, 1), (3, 2), (3, 1), (2, 1)]
    >>> hanoi(1, 1, 2)
    [(1, 2)]
    >>> hanoi(0, 3, 1)
    []
    """
    if disks == 0:
        return []
    other = 6 - start - end
    return hanoi(disks - 1, start, other) + [(start, end)] + hanoi(disks - 1, other, end)


def ways_up(stairs, steps):
    """Counts the ways to climb stairs when a step may take any of some numbers of them.

    >>> ways_up(4, [1, 2])
    5
    >>> ways_up(0, [1])
    1
    >>> ways_up(5, [2])
    0
    >>> ways_up(6, [2, 3])
    2
    >>> ways_up(3, [1, 2, 3])
    4
    >>> ways_up(7, [3, 4])
    2
    >>> ways_up(5, [1, 2])
    8
    >>> ways_up(8, [5, 2])
    1
    >>> ways_up(4, [4, 1])
    2
    >>> ways_up(6, [1, 5])
    3
    """
    if stairs == 0:
        return 1
    return sum(ways_up(stairs - step, steps) for step in steps if step <= stairs)
