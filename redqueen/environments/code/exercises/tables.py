"""Tables and nested lists."""


def row_sums(rows):
    """The sum of each row.

    >>> row_sums([[1, 2], [3, 4]])
    [3, 7]
    >>> row_sums([[5]])
    [5]
    >>> row_sums([[0, 0], [9, 1]])
    [0, 10]
    >>> row_sums([[2, 2, 2]])
    [6]
    >>> row_sums([[1], [7], [8]])
    [1, 7, 8]
    >>> row_sums([])
    []
    """
    return [sum(row) for row in rows]


def transpose(rows):
    """Exchange rows and columns.

    >>> transpose([[1, 2], [3, 4]])
    [[1, 3], [2, 4]]
    >>> transpose([[5]])
    [[5]]
    >>> transpose([[0, 9]])
    [[0], [9]]
    >>> transpose([[2], [6]])
    [[2, 6]]
    >>> transpose([[1, 7, 8], [4, 3, 2]])
    [[1, 4], [7, 3], [8, 2]]
    >>> transpose([[6, 6], [5, 1]])
    [[6, 5], [6, 1]]
    """
    columns = []
    for i in range(len(rows[0])):
        columns.append([row[i] for row in rows])
    return columns


def diagonal_sum(grid):
    """Add up the diagonal of a square.

    >>> diagonal_sum([[1, 2], [3, 4]])
    5
    >>> diagonal_sum([[5]])
    5
    >>> diagonal_sum([[0, 9], [9, 0]])
    0
    >>> diagonal_sum([[7, 1], [1, 2]])
    9
    >>> diagonal_sum([[1, 0, 0], [0, 2, 0], [0, 0, 3]])
    6
    >>> diagonal_sum([[6, 3], [2, 6]])
    12
    """
    total = 0
    for i in range(len(grid)):
        total += grid[i][i]
    return total


def pascal_row(row):
    """The next row of Pascal's triangle.

    >>> pascal_row([1])
    [1, 1]
    >>> pascal_row([1, 1])
    [1, 2, 1]
    >>> pascal_row([1, 2, 1])
    [1, 3, 3, 1]
    >>> pascal_row([1, 3, 3, 1])
    [1, 4, 6, 4, 1]
    >>> pascal_row([1, 4, 6, 4, 1])
    [1, 5, 10, 10, 5, 1]
    >>> pascal_row([1, 5, 1])
    [1, 6, 6, 1]
    """
    new = [1]
    for i in range(len(row) - 1):
        new.append(row[i] + row[i + 1])
    return new + [1]


def times_table(n):
    """The first four multiples.

    >>> times_table(2)
    [2, 4, 6, 8]
    >>> times_table(5)
    [5, 10, 15, 20]
    >>> times_table(0)
    [0, 0, 0, 0]
    >>> times_table(3)
    [3, 6, 9, 12]
    >>> times_table(7)
    [7, 14, 21, 28]
    >>> times_table(1)
    [1, 2, 3, 4]
    """
    return [n * k for k in range(1, 5)]


def staircase(n):
    """One hash sign, then two, up to n.

    >>> staircase(1)
    ['#']
    >>> staircase(2)
    ['#', '##']
    >>> staircase(3)
    ['#', '##', '###']
    >>> staircase(0)
    []
    >>> staircase(4)
    ['#', '##', '###', '####']
    >>> staircase(5)
    ['#', '##', '###', '####', '#####']
    """
    return ["#" * k for k in range(1, n + 1)]


def common(a, b):
    """The items that are in both lists.

    >>> common([1, 2], [2, 3])
    [2]
    >>> common([5], [6])
    []
    >>> common([7, 8], [8, 7])
    [7, 8]
    >>> common([], [4])
    []
    >>> common([0, 9, 3], [3, 0])
    [0, 3]
    >>> common([2, 2], [2])
    [2]
    """
    shared = []
    for x in a:
        if x in b and x not in shared:
            shared.append(x)
    return shared


def only_in_first(a, b):
    """The items of the first list that the second lacks.

    >>> only_in_first([1, 2], [2, 3])
    [1]
    >>> only_in_first([5], [6])
    [5]
    >>> only_in_first([7, 8], [8, 7])
    []
    >>> only_in_first([4], [])
    [4]
    >>> only_in_first([0, 9, 3], [3])
    [0, 9]
    >>> only_in_first([2, 6], [2])
    [6]
    """
    return [x for x in a if x not in b]


def majority(votes):
    """What most voted for.

    >>> majority(['a', 'b', 'a'])
    'a'
    >>> majority(['c'])
    'c'
    >>> majority(['b', 'b', 'a', 'b'])
    'b'
    >>> majority(['d', 'c', 'd', 'c', 'c'])
    'c'
    >>> majority(['a', 'a'])
    'a'
    >>> majority(['c', 'b', 'c'])
    'c'
    """
    winner = votes[0]
    for vote in votes:
        if votes.count(vote) > votes.count(winner):
            winner = vote
    return winner


def pairs_with_sum(numbers, goal):
    """How many pairs add up to a goal.

    >>> pairs_with_sum([1, 2, 3], 4)
    1
    >>> pairs_with_sum([5, 5], 10)
    1
    >>> pairs_with_sum([2, 2, 2], 4)
    3
    >>> pairs_with_sum([1, 9], 8)
    0
    >>> pairs_with_sum([0, 4, 6], 6)
    1
    >>> pairs_with_sum([3, 1, 2, 4], 5)
    2
    """
    count = 0
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            if numbers[i] + numbers[j] == goal:
                count += 1
    return count
