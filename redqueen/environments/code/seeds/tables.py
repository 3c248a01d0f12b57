"""Seed functions for chat models: tables."""


def invert(table):
    """Turns a table of values into a table of sorted keys by value.

    >>> invert({'a': 1, 'b': 2, 'c': 1})
    {1: ['a', 'c'], 2: ['b']}
    >>> invert({})
    {}
    >>> invert({'x': 'y'})
    {'y': ['x']}
    >>> invert({'k': 0, 'j': 0})
    {0: ['j', 'k']}
    >>> invert({'one': 1, 'uno': 1, 'two': 2})
    {1: ['one', 'uno'], 2: ['two']}
    >>> invert({1: 'odd', 2: 'even', 3: 'odd'})
    {'odd': [1, 3], 'even': [2]}
    >>> invert({'b': True, 'a': True})
    {True: ['a', 'b']}
    >>> invert({'m': 5, 'n': 6})
    {5: ['m'], 6: ['n']}
    >>> invert({'q': 9, 'p': 9, 'o': 8})
    {9: ['p', 'q'], 8: ['o']}
    >>> invert({10: 'x', 5: 'x'})
    {'x': [5, 10]}
    """
    inverted = {}
    for key, value in table.items():
        inverted.setdefault(value, []).append(key)
    return {value: sorted(keys) for value, keys in inverted.items()}


def group_by_length(words):
    """Groups words by their length, in alphabetical order.

    >>> group_by_length(['to', 'be', 'or', 'not'])
    {2: ['be', 'or', 'to'], 3: ['not']}
    >>> group_by_length([])
    {}
    >>> group_by_length(['one', 'two', 'three'])
    {3: ['one', 'two'], 5: ['three']}
    >>> group_by_length(['same', 'size'])
    {4: ['same', 'size']}
    >>> group_by_length(['a', 'bb', 'a'])
    {1: ['a', 'a'], 2: ['bb']}
    >>> group_by_length(['', 'x'])
    {0: [''], 1: ['x']}
    >>> group_by_length(['fig', 'kiwi', 'pear', 'plum'])
    {3: ['fig'], 4: ['kiwi', 'pear', 'plum']}
    >>> group_by_length(['red', 'green', 'blue'])
    {4: ['blue'], 5: ['green'], 3: ['red']}
    >>> group_by_length(['zoo'])
    {3: ['zoo']}
    >>> group_by_length(['no', 'yes', 'on'])
    {2: ['no', 'on'], 3: ['yes']}
    """
    groups = {}
    for word in sorted(words):
        groups.setdefault(len(word), []).append(word)
    return groups


def top_scores(scores, count):
    """Names those with the best scores; equal scores go by name.

    >>> top_scores({'ann': 3, 'bob': 5, 'cy': 5}, 2)
    ['bob', 'cy']
    >>> top_scores({}, 1)
    []
    >>> top_scores({'x': 1}, 3)
    ['x']
    >>> top_scores({'a': 2, 'b': 1, 'c': 3}, 1)
    ['c']
    >>> top_scores({'z': 0, 'y': 0, 'x': 0}, 2)
    ['x', 'y']
    >>> top_scores({'eve': 9, 'dan': 7}, 0)
    []
    >>> top_scores({'k': -1, 'l': -2}, 2)
    ['k', 'l']
    >>> top_scores({'u': 4, 'v': 6, 'w': 5}, 3)
    ['v', 'w', 'u']
    >>> top_scores({'p': 8, 'q': 8}, 1)
    ['p']
    >>> top_scores({'m': 1, 'n': 10, 'o': 5, 'r': 7}, 2)
    ['n', 'r']
    """
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [name for name, _ in ranked[:count]]


def total_price(cart, prices):
    """Adds up a shopping cart; what has no price is listed as missing.

    >>> total_price({'egg': 6, 'milk': 1}, {'egg': 2, 'milk': 9})
    (21, [])
    >>> total_price({}, {'egg': 1})
    (0, [])
    >>> total_price({'tea': 2}, {})
    (0, ['tea'])
    >>> total_price({'a': 1, 'b': 2, 'c': 3}, {'b': 10})
    (20, ['a', 'c'])
    >>> total_price({'pen': 3}, {'pen': 4, 'ink': 8})
    (12, [])
    >>> total_price({'x': 0}, {'x': 100})
    (0, [])
    >>> total_price({'z': 1, 'y': 1}, {'q': 1})
    (0, ['y', 'z'])
    >>> total_price({'cup': 2, 'jar': 5}, {'cup': 7, 'jar': 1})
    (19, [])
    >>> total_price({'bag': 1}, {'bag': 20})
    (20, [])
    >>> total_price({'oil': 2, 'rye': 4}, {'oil': 5})
    (10, ['rye'])
    """
    total = 0
    missing = []
    for item, count in cart.items():
        if item in prices:
            total += count * prices[item]
        else:
            missing.append(item)
    return total, sorted(missing)


def merge_counts(first, second):
    """Adds the counts of two tables and drops what comes to zero.

    >>> merge_counts({'a': 1}, {'a': 2, 'b': 3})
    {'a': 3, 'b': 3}
    >>> merge_counts({}, {})
    {}
    >>> merge_counts({'x': 5}, {'x': -5})
    {}
    >>> merge_counts({'m': 1, 'n': 2}, {})
    {'m': 1, 'n': 2}
    >>> merge_counts({'k': 0}, {'j': 4})
    {'j': 4}
    >>> merge_counts({'p': 3, 'q': -1}, {'q': 1, 'p': 1})
    {'p': 4}
    >>> merge_counts({'r': 2}, {'s': 2})
    {'r': 2, 's': 2}
    >>> merge_counts({'t': 7}, {'t': -6, 'u': 0})
    {'t': 1}
    >>> merge_counts({}, {'v': 9})
    {'v': 9}
    >>> merge_counts({'a': 1, 'b': 1}, {'b': -1, 'c': 1})
    {'a': 1, 'c': 1}
    """
    merged = dict(first)
    for key, count in second.items():
        merged[key] = merged.get(key, 0) + count
    return {key: count for key, count in merged.items() if count != 0}


def flatten_table(table):
    """Writes a table of tables as one, with keys joined by dots.

    >>> flatten_table({'a': {'x': 1, 'y': 2}, 'b': 3})
    {'a.x': 1, 'a.y': 2, 'b': 3}
    >>> flatten_table({})
    {}
    >>> flatten_table({'k': {}})
    {}
    >>> flatten_table({'m': {'n': [1]}})
    {'m.n': [1]}
    >>> flatten_table({'p': 0, 'q': {'r': 5}})
    {'p': 0, 'q.r': 5}
    >>> flatten_table({'one': 1, 'two': 2})
    {'one': 1, 'two': 2}
    >>> flatten_table({'u': {'v': {'w': 1}}})
    {'u.v': {'w': 1}}
    >>> flatten_table({'s': {'t': 's'}, 'r': {'t': 'r'}})
    {'s.t': 's', 'r.t': 'r'}
    >>> flatten_table({'z': None})
    {'z': None}
    >>> flatten_table({'c': {'d': True, 'e': False}})
    {'c.d': True, 'c.e': False}
    """
    flat = {}
    for outer, inner in table.items():
        if isinstance(inner, dict):
            for key, value in inner.items():
                flat[outer + "." + key] = value
        else:
            flat[outer] = inner
    return flat


def winners(votes):
    """Names all who have the most votes, in alphabetical order.

    >>> winners(['ann', 'bob', 'ann'])
    ['ann']
    >>> winners([])
    []
    >>> winners(['x', 'y'])
    ['x', 'y']
    >>> winners(['c', 'b', 'a', 'b', 'c'])
    ['b', 'c']
    >>> winners(['dan'])
    ['dan']
    >>> winners(['e', 'e', 'f', 'f', 'f'])
    ['f']
    >>> winners(['q', 'p', 'q', 'p', 'r'])
    ['p', 'q']
    >>> winners(['tom', 'tim', 'tim'])
    ['tim']
    >>> winners(['k', 'k'])
    ['k']
    >>> winners(['z', 'y', 'x', 'z'])
    ['z']
    """
    counts = {}
    for name in votes:
        counts[name] = counts.get(name, 0) + 1
    most = max(counts.values(), default=0)
    return sorted(name for name, count in counts.items() if count == most)
