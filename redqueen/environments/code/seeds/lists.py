"""Seed functions for chat models: lists."""


def running_max(values):
    """Gives the largest value so far at every place.

    >>> running_max([3, 1, 4, 1, 5])
    [3, 3, 4, 4, 5]
    >>> running_max([])
    []
    >>> running_max([7])
    [7]
    >>> running_max([5, 4, 3])
    [5, 5, 5]
    >>> running_max([-2, -5, 0, -1])
    [-2, -2, 0, 0]
    >>> running_max([1, 2, 3])
    [1, 2, 3]
    >>> running_max([2, 2, 2])
    [2, 2, 2]
    >>> running_max([0, 9, 8, 9, 10])
    [0, 9, 9, 9, 10]
    >>> running_max([-7, -3])
    [-7, -3]
    >>> running_max([6, 6, 7, 1])
    [6, 6, 7, 7]
    """
    result = []
    for value in values:
        result.append(value if not result or value > result[-1] else result[-1])
    return result


def chunks(values, size):
    """Cuts a list into pieces of a size, the last one shorter.

    >>> chunks([1, 2, 3, 4, 5], 2)
    [[1, 2], [3, 4], [5]]
    >>> chunks([], 3)
    []
    >>> chunks(['a', 'b'], 5)
    [['a', 'b']]
    >>> chunks([1, 2, 3], 1)
    [[1], [2], [3]]
    >>> chunks([0, 0, 0, 0], 4)
    [[0, 0, 0, 0]]
    >>> chunks([9, 8, 7, 6, 5, 4], 3)
    [[9, 8, 7], [6, 5, 4]]
    >>> chunks([True, False, True], 2)
    [[True, False], [True]]
    >>> chunks(['x'], 1)
    [['x']]
    >>> chunks([1, [2], 3], 2)
    [[1, [2]], [3]]
    >>> chunks([5, 5, 5, 5, 5], 4)
    [[5, 5, 5, 5], [5]]
    """
    return [values[i : i + size] for i in range(0, len(values), size)]


def rotate(values, steps):
    """Turns a list to the right by a number of steps.

    >>> rotate([1, 2, 3, 4], 1)
    [4, 1, 2, 3]
    >>> rotate([1, 2, 3], 5)
    [2, 3, 1]
    >>> rotate([], 2)
    []
    >>> rotate(['a', 'b', 'c'], -1)
    ['b', 'c', 'a']
    >>> rotate([7], 9)
    [7]
    >>> rotate([1, 2, 3, 4], 4)
    [1, 2, 3, 4]
    >>> rotate([0, 1], 1)
    [1, 0]
    >>> rotate(['x', 'y', 'z'], 2)
    ['y', 'z', 'x']
    >>> rotate([4, 3, 2, 1, 0], 3)
    [2, 1, 0, 4, 3]
    >>> rotate([9, 8], -3)
    [8, 9]
    """
    if not values:
        return []
    steps %= len(values)
    return values[-steps:] + values[:-steps] if steps else values[:]


def merge_sorted(left, right):
    """Merges two sorted lists into one.

    >>> merge_sorted([1, 4, 6], [2, 3, 7])
    [1, 2, 3, 4, 6, 7]
    >>> merge_sorted([], [1])
    [1]
    >>> merge_sorted([5], [])
    [5]
    >>> merge_sorted([1, 1], [1])
    [1, 1, 1]
    >>> merge_sorted([0, 10], [5, 6, 7])
    [0, 5, 6, 7, 10]
    >>> merge_sorted([-3, -1], [-2])
    [-3, -2, -1]
    >>> merge_sorted([], [])
    []
    >>> merge_sorted([2, 4], [1, 3])
    [1, 2, 3, 4]
    >>> merge_sorted(['a', 'd'], ['b'])
    ['a', 'b', 'd']
    >>> merge_sorted([8, 9], [1, 2])
    [1, 2, 8, 9]
    """
    merged = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]


def second_largest(values):
    """Finds the second largest of the different values, or None.

    >>> second_largest([4, 1, 9, 9])
    4
    >>> second_largest([1, 2])
    1
    >>> second_largest([-1, -7, -3])
    -3
    >>> second_largest([3, 3, 2])
    2
    >>> second_largest([0, 100, 50])
    50
    >>> second_largest([8, 6, 7, 5, 3, 0, 9])
    8
    >>> second_largest([2, 4, 4, 2])
    2
    """
    different = sorted(set(values), reverse=True)
    return different[1] if len(different) > 1 else None


def longest_climb(values):
    """Finds the longest run in which every value is larger than the one before.

    >>> longest_climb([1, 2, 0, 1, 2, 3, 1])
    [0, 1, 2, 3]
    >>> longest_climb([])
    []
    >>> longest_climb([5, 4])
    [5]
    >>> longest_climb([1, 1, 2])
    [1, 2]
    >>> longest_climb([3])
    [3]
    >>> longest_climb([0, 5, 9, 2, 4])
    [0, 5, 9]
    >>> longest_climb([2, 3, 1, 2])
    [2, 3]
    >>> longest_climb([-1, 0, 1, -5])
    [-1, 0, 1]
    >>> longest_climb([10, 20, 15, 16, 17])
    [15, 16, 17]
    >>> longest_climb([1, 3, 5, 7])
    [1, 3, 5, 7]
    """
    best = current = values[:1]
    for previous, value in zip(values, values[1:]):
        current = current + [value] if value > previous else [value]
        if len(current) > len(best):
            best = current
    return best


def pair_sums(values, target):
    """Lists the pairs of places whose values add up to a target.

    >>> pair_sums([1, 3, 2, 2], 4)
    [(0, 1), (2, 3)]
    >>> pair_sums([], 0)
    []
    >>> pair_sums([5, 5, 5], 10)
    [(0, 1), (0, 2), (1, 2)]
    >>> pair_sums([1, 2], 9)
    []
    >>> pair_sums([0, -1, 1], 0)
    [(1, 2)]
    >>> pair_sums([4, 6, 3, 7], 10)
    [(0, 1), (2, 3)]
    >>> pair_sums([2], 4)
    []
    >>> pair_sums([1, 1, 1], 2)
    [(0, 1), (0, 2), (1, 2)]
    >>> pair_sums([8, -3, 5, 0], 5)
    [(0, 1), (2, 3)]
    >>> pair_sums([9, 1, 8, 2], 10)
    [(0, 1), (2, 3)]
    """
    found = []
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            if values[i] + values[j] == target:
                found.append((i, j))
    return found


def interleave(first, second):
    """Takes items of two lists in turn, then what is left of the longer.

    >>> interleave([1, 2, 3], ['a', 'b'])
    [1, 'a', 2, 'b', 3]
    >>> interleave([], [1, 2])
    [1, 2]
    >>> interleave([0], [])
    [0]
    >>> interleave([1, 3], [2, 4])
    [1, 2, 3, 4]
    >>> interleave(['x'], ['y', 'z', 'w'])
    ['x', 'y', 'z', 'w']
    >>> interleave([], [])
    []
    >>> interleave([5, 5], [6])
    [5, 6, 5]
    >>> interleave([True], [False])
    [True, False]
    >>> interleave([1, 2, 3, 4], [9])
    [1, 9, 2, 3, 4]
    >>> interleave(['a', 'c'], ['b', 'd'])
    ['a', 'b', 'c', 'd']
    """
    mixed = []
    for a, b in zip(first, second):
        mixed.extend([a, b])
    shorter = min(len(first), len(second))
    return mixed + first[shorter:] + second[shorter:]


def remove_every(values, step):
    """Drops every item at a multiple of a step, counted from one.

    >>> remove_every([1, 2, 3, 4, 5, 6], 3)
    [1, 2, 4, 5]
    >>> remove_every(['a', 'b', 'c'], 2)
    ['a', 'c']
    >>> remove_every([], 4)
    []
    >>> remove_every([7, 8], 1)
    []
    >>> remove_every([1, 2, 3], 5)
    [1, 2, 3]
    >>> remove_every([0, 1, 0, 1], 2)
    [0, 0]
    >>> remove_every(['x', 'y', 'z', 'w'], 4)
    ['x', 'y', 'z']
    >>> remove_every([5, 6, 7, 8, 9], 2)
    [5, 7, 9]
    >>> remove_every([True, True], 2)
    [True]
    >>> remove_every([3, 1, 4, 1, 5, 9], 5)
    [3, 1, 4, 1, 9]
    """
    return [value for place, value in enumerate(values, 1) if place % step != 0]
