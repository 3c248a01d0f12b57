"""Dictionaries and tuples: lookups, tallies, points."""


def total_value(stock):
    """Add up all values.

    >>> total_value({'a': 2, 'b': 3})
    5
    >>> total_value({'x': 5})
    5
    >>> total_value({})
    0
    >>> total_value({'a': 1, 'b': 1, 'c': 4})
    6
    >>> total_value({'d': 0, 'e': 9})
    9
    >>> total_value({'b': 7, 'c': 8})
    15
    """
    return sum(stock.values())


def best_key(scores):
    """The key with the largest value.

    >>> best_key({'a': 2, 'b': 3})
    'b'
    >>> best_key({'x': 5})
    'x'
    >>> best_key({'a': 9, 'b': 1, 'c': 4})
    'a'
    >>> best_key({'d': 0, 'e': 8})
    'e'
    >>> best_key({'b': 7, 'c': 6})
    'b'
    >>> best_key({'a': 1, 'c': 2})
    'c'
    """
    best = None
    for key in scores:
        if best is None or scores[key] > scores[best]:
            best = key
    return best


def invert(mapping):
    """Exchange keys and values.

    >>> invert({'a': 1})
    {1: 'a'}
    >>> invert({'a': 2, 'b': 3})
    {2: 'a', 3: 'b'}
    >>> invert({})
    {}
    >>> invert({'x': 5, 'y': 6})
    {5: 'x', 6: 'y'}
    >>> invert({'c': 0})
    {0: 'c'}
    >>> invert({'d': 9, 'a': 4})
    {9: 'd', 4: 'a'}
    """
    return {value: key for key, value in mapping.items()}


def merge_counts(a, b):
    """Add up two tallies.

    >>> merge_counts({'a': 1}, {'a': 2})
    {'a': 3}
    >>> merge_counts({'b': 3}, {'c': 1})
    {'b': 3, 'c': 1}
    >>> merge_counts({}, {'d': 4})
    {'d': 4}
    >>> merge_counts({'a': 5, 'b': 1}, {'b': 1})
    {'a': 5, 'b': 2}
    >>> merge_counts({'c': 2}, {})
    {'c': 2}
    >>> merge_counts({'a': 1}, {'b': 2, 'a': 1})
    {'a': 2, 'b': 2}
    """
    result = dict(a)
    for key, count in b.items():
        result[key] = result.get(key, 0) + count
    return result


def tally(text):
    """How often each letter comes.

    >>> tally('aab')
    {'a': 2, 'b': 1}
    >>> tally('abc')
    {'a': 1, 'b': 1, 'c': 1}
    >>> tally('d')
    {'d': 1}
    >>> tally('cc')
    {'c': 2}
    >>> tally('abab')
    {'a': 2, 'b': 2}
    >>> tally('')
    {}
    """
    counts = {}
    for c in text:
        counts[c] = counts.get(c, 0) + 1
    return counts


def price_of(prices, item):
    """The price of an item, or -1 if it is unknown.

    >>> price_of({'a': 2, 'b': 3}, 'a')
    2
    >>> price_of({'x': 5}, 'y')
    -1
    >>> price_of({'c': 4}, 'c')
    4
    >>> price_of({}, 'a')
    -1
    >>> price_of({'a': 8, 'd': 1}, 'd')
    1
    >>> price_of({'b': 6}, 'b')
    6
    """
    if item in prices:
        return prices[item]
    return -1


def has_keys(mapping, keys):
    """Whether all keys are there.

    >>> has_keys({'a': 1}, ['a'])
    True
    >>> has_keys({'a': 1}, ['b'])
    False
    >>> has_keys({'a': 1, 'b': 2}, ['a', 'b'])
    True
    >>> has_keys({}, [])
    True
    >>> has_keys({'c': 3}, ['c', 'd'])
    False
    >>> has_keys({'d': 4, 'e': 5}, ['e'])
    True
    """
    return all([key in mapping for key in keys])


def swap(pair):
    """Exchange the two items of a pair.

    >>> swap((1, 2))
    (2, 1)
    >>> swap((5, 3))
    (3, 5)
    >>> swap((0, 0))
    (0, 0)
    >>> swap((7, 9))
    (9, 7)
    >>> swap((4, 1))
    (1, 4)
    >>> swap((8, 6))
    (6, 8)
    """
    return (pair[1], pair[0])


def manhattan(p, q):
    """Steps from one point to another along the grid.

    >>> manhattan((0, 0), (1, 2))
    3
    >>> manhattan((3, 1), (1, 1))
    2
    >>> manhattan((5, 5), (2, 9))
    7
    >>> manhattan((4, 0), (0, 4))
    8
    >>> manhattan((2, 2), (2, 2))
    0
    >>> manhattan((1, 7), (6, 7))
    5
    """
    return abs(p[0] - q[0]) + abs(p[1] - q[1])


def pair_total(pair):
    """Add the two items of a pair.

    >>> pair_total((1, 2))
    3
    >>> pair_total((5, 3))
    8
    >>> pair_total((0, 0))
    0
    >>> pair_total((7, 9))
    16
    >>> pair_total((4, 1))
    5
    >>> pair_total((8, 6))
    14
    """
    left, right = pair
    return left + right


def sort_by_second(pairs):
    """Sort pairs by their second item.

    >>> sort_by_second([(1, 5), (2, 3)])
    [(2, 3), (1, 5)]
    >>> sort_by_second([(4, 0)])
    [(4, 0)]
    >>> sort_by_second([(7, 2), (1, 1)])
    [(1, 1), (7, 2)]
    >>> sort_by_second([(3, 3), (2, 4)])
    [(3, 3), (2, 4)]
    >>> sort_by_second([(0, 9), (5, 8), (6, 7)])
    [(6, 7), (5, 8), (0, 9)]
    >>> sort_by_second([(9, 1), (8, 6)])
    [(9, 1), (8, 6)]
    """
    return sorted(pairs, key=lambda pair: pair[1])


def sorted_keys(mapping):
    """The keys in order.

    >>> sorted_keys({'b': 1, 'a': 2})
    ['a', 'b']
    >>> sorted_keys({'x': 5})
    ['x']
    >>> sorted_keys({'c': 4, 'a': 0, 'b': 9})
    ['a', 'b', 'c']
    >>> sorted_keys({})
    []
    >>> sorted_keys({'d': 7, 'c': 3})
    ['c', 'd']
    >>> sorted_keys({'a': 1, 'e': 1})
    ['a', 'e']
    """
    return sorted(mapping.keys())


def drop_zeros(counts):
    """Remove the entries with value 0.

    >>> drop_zeros({'a': 0, 'b': 2})
    {'b': 2}
    >>> drop_zeros({'x': 5})
    {'x': 5}
    >>> drop_zeros({'c': 0})
    {}
    >>> drop_zeros({'a': 1, 'd': 0})
    {'a': 1}
    >>> drop_zeros({'b': 3, 'c': 0, 'e': 4})
    {'b': 3, 'e': 4}
    >>> drop_zeros({})
    {}
    """
    return {key: n for key, n in counts.items() if n != 0}


def move(point, dx, dy):
    """Move a point.

    >>> move((0, 0), 1, 2)
    (1, 2)
    >>> move((3, 1), 1, 1)
    (4, 2)
    >>> move((5, 5), 0, 3)
    (5, 8)
    >>> move((4, 0), 2, 0)
    (6, 0)
    >>> move((2, 2), 4, 5)
    (6, 7)
    >>> move((1, 7), 1, 0)
    (2, 7)
    """
    x, y = point
    return (x + dx, y + dy)


def midpoint(p, q):
    """The point half way, rounded down.

    >>> midpoint((0, 0), (2, 4))
    (1, 2)
    >>> midpoint((3, 1), (1, 1))
    (2, 1)
    >>> midpoint((5, 5), (2, 9))
    (3, 7)
    >>> midpoint((4, 0), (0, 4))
    (2, 2)
    >>> midpoint((2, 2), (6, 8))
    (4, 5)
    >>> midpoint((1, 7), (6, 7))
    (3, 7)
    """
    return ((p[0] + q[0]) // 2, (p[1] + q[1]) // 2)


def area(width, height):
    """The area of a rectangle.

    >>> area(2, 3)
    6
    >>> area(4, 1)
    4
    >>> area(5, 5)
    25
    >>> area(0, 7)
    0
    >>> area(6, 2)
    12
    >>> area(3, 9)
    27
    """
    return width * height


def perimeter(width, height):
    """Once around a rectangle.

    >>> perimeter(2, 3)
    10
    >>> perimeter(4, 1)
    10
    >>> perimeter(5, 5)
    20
    >>> perimeter(0, 7)
    14
    >>> perimeter(6, 2)
    16
    >>> perimeter(3, 9)
    24
    """
    return 2 * (width + height)


def keys_with(mapping, wanted):
    """The keys that have a value.

    >>> keys_with({'a': 1, 'b': 2}, 1)
    ['a']
    >>> keys_with({'x': 5}, 4)
    []
    >>> keys_with({'c': 3, 'd': 3}, 3)
    ['c', 'd']
    >>> keys_with({}, 0)
    []
    >>> keys_with({'a': 2, 'b': 2, 'c': 1}, 2)
    ['a', 'b']
    >>> keys_with({'e': 9, 'a': 7}, 7)
    ['a']
    """
    found = []
    for key, value in mapping.items():
        if value == wanted:
            found.append(key)
    return found


def group_by_size(words):
    """The words by their length.

    >>> group_by_size(['a', 'bb'])
    {1: ['a'], 2: ['bb']}
    >>> group_by_size(['cat', 'dog'])
    {3: ['cat', 'dog']}
    >>> group_by_size(['ab', 'c', 'd'])
    {2: ['ab'], 1: ['c', 'd']}
    >>> group_by_size([])
    {}
    >>> group_by_size(['bad', 'be', 'bed'])
    {3: ['bad', 'bed'], 2: ['be']}
    >>> group_by_size(['x'])
    {1: ['x']}
    """
    groups = {}
    for word in words:
        groups.setdefault(len(word), []).append(word)
    return groups


def zip_pairs(a, b):
    """Pair up two lists.

    >>> zip_pairs([1, 2], [3, 4])
    [(1, 3), (2, 4)]
    >>> zip_pairs([5], [6])
    [(5, 6)]
    >>> zip_pairs([], [])
    []
    >>> zip_pairs([7, 8], [0, 1])
    [(7, 0), (8, 1)]
    >>> zip_pairs([2, 2, 2], [4, 5, 6])
    [(2, 4), (2, 5), (2, 6)]
    >>> zip_pairs([9, 3], [1, 9])
    [(9, 1), (3, 9)]
    """
    return [(x, y) for x, y in zip(a, b)]


def min_and_max(numbers):
    """The smallest and the largest number.

    >>> min_and_max([3, 8, 5])
    (3, 8)
    >>> min_and_max([9, 2])
    (2, 9)
    >>> min_and_max([4, 4])
    (4, 4)
    >>> min_and_max([1, 7, 6])
    (1, 7)
    >>> min_and_max([0])
    (0, 0)
    >>> min_and_max([5, 2, 3])
    (2, 5)
    """
    return (min(numbers), max(numbers))


def add_item(basket, item):
    """Put one more of an item into the basket.

    >>> add_item({'a': 1}, 'a')
    {'a': 2}
    >>> add_item({'b': 3}, 'c')
    {'b': 3, 'c': 1}
    >>> add_item({}, 'd')
    {'d': 1}
    >>> add_item({'a': 5, 'b': 1}, 'b')
    {'a': 5, 'b': 2}
    >>> add_item({'c': 2}, 'c')
    {'c': 3}
    >>> add_item({'a': 1}, 'e')
    {'a': 1, 'e': 1}
    """
    if item in basket:
        basket[item] += 1
    else:
        basket[item] = 1
    return basket


def quotient_and_rest(a, b):
    """Divide with a rest.

    >>> quotient_and_rest(7, 2)
    (3, 1)
    >>> quotient_and_rest(9, 3)
    (3, 0)
    >>> quotient_and_rest(5, 4)
    (1, 1)
    >>> quotient_and_rest(10, 3)
    (3, 1)
    >>> quotient_and_rest(8, 5)
    (1, 3)
    >>> quotient_and_rest(3, 6)
    (0, 3)
    """
    return (a // b, a % b)
