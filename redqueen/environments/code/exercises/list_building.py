"""Lists: building and reordering."""


def running_max(numbers):
    """The largest number so far, at each place.

    >>> running_max([1, 3, 2])
    [1, 3, 3]
    >>> running_max([5, 4, 3])
    [5, 5, 5]
    >>> running_max([2])
    [2]
    >>> running_max([0, 2, 1, 4])
    [0, 2, 2, 4]
    >>> running_max([7, 7, 8])
    [7, 7, 8]
    >>> running_max([3, 1, 6])
    [3, 3, 6]
    """
    best = numbers[0]
    result = []
    for n in numbers:
        best = max(best, n)
        result.append(best)
    return result


def running_sum(numbers):
    """The sum so far, at each place.

    >>> running_sum([1, 3, 2])
    [1, 4, 6]
    >>> running_sum([5, 4])
    [5, 9]
    >>> running_sum([2])
    [2]
    >>> running_sum([0, 2, 1])
    [0, 2, 3]
    >>> running_sum([7, 1, 1])
    [7, 8, 9]
    >>> running_sum([3, 0, 6])
    [3, 3, 9]
    """
    total = 0
    result = []
    for n in numbers:
        total = total + n
        result.append(total)
    return result


def rotate(items, k):
    """Move the first k items to the end.

    >>> rotate([1, 2, 3], 1)
    [2, 3, 1]
    >>> rotate([4, 5, 6], 2)
    [6, 4, 5]
    >>> rotate([7, 8], 1)
    [8, 7]
    >>> rotate([1, 2, 3, 4], 3)
    [4, 1, 2, 3]
    >>> rotate([9, 0, 5], 0)
    [9, 0, 5]
    >>> rotate([6, 2, 8, 1], 2)
    [8, 1, 6, 2]
    """
    return items[k:] + items[:k]


def dedupe(items):
    """Drop repeated items, keep the order.

    >>> dedupe([1, 1, 2])
    [1, 2]
    >>> dedupe([3, 2, 3])
    [3, 2]
    >>> dedupe([5, 6])
    [5, 6]
    >>> dedupe([4, 4, 4])
    [4]
    >>> dedupe([1, 2, 1, 2])
    [1, 2]
    >>> dedupe([7, 0, 7, 8])
    [7, 0, 8]
    """
    seen = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return seen


def merge_sorted(a, b):
    """Merge two sorted lists into one.

    >>> merge_sorted([1, 4], [2, 3])
    [1, 2, 3, 4]
    >>> merge_sorted([5], [1, 9])
    [1, 5, 9]
    >>> merge_sorted([], [2, 6])
    [2, 6]
    >>> merge_sorted([1, 2], [3])
    [1, 2, 3]
    >>> merge_sorted([4, 8], [6])
    [4, 6, 8]
    >>> merge_sorted([7], [7])
    [7, 7]
    """
    merged = []
    while a and b:
        if a[0] <= b[0]:
            merged.append(a[0])
            a = a[1:]
        else:
            merged.append(b[0])
            b = b[1:]
    return merged + a + b


def bubble_pass(numbers):
    """One pass of bubble sort.

    >>> bubble_pass([3, 1, 2])
    [1, 2, 3]
    >>> bubble_pass([1, 2])
    [1, 2]
    >>> bubble_pass([5, 4, 3])
    [4, 3, 5]
    >>> bubble_pass([2, 9, 1])
    [2, 1, 9]
    >>> bubble_pass([8, 6])
    [6, 8]
    >>> bubble_pass([4, 7, 0, 5])
    [4, 0, 5, 7]
    """
    result = numbers[:]
    for i in range(len(result) - 1):
        if result[i] > result[i + 1]:
            result[i], result[i + 1] = result[i + 1], result[i]
    return result


def interleave(a, b):
    """Take items from two lists in turn.

    >>> interleave([1, 2], [8, 9])
    [1, 8, 2, 9]
    >>> interleave([5], [6])
    [5, 6]
    >>> interleave([0, 3], [3, 0])
    [0, 3, 3, 0]
    >>> interleave([1, 1], [2, 2])
    [1, 2, 1, 2]
    >>> interleave([4, 7, 9], [2, 5, 6])
    [4, 2, 7, 5, 9, 6]
    >>> interleave([], [])
    []
    """
    result = []
    for x, y in zip(a, b):
        result = result + [x, y]
    return result


def flatten(rows):
    """Join nested lists into one.

    >>> flatten([[1, 2], [3]])
    [1, 2, 3]
    >>> flatten([[4], [5]])
    [4, 5]
    >>> flatten([[], [6, 7]])
    [6, 7]
    >>> flatten([[8]])
    [8]
    >>> flatten([[1], [], [2]])
    [1, 2]
    >>> flatten([[9, 0], [3, 3]])
    [9, 0, 3, 3]
    """
    return [item for row in rows for item in row]


def pairs(items):
    """Cut a list into pairs.

    >>> pairs([1, 2, 3, 4])
    [[1, 2], [3, 4]]
    >>> pairs([5, 6])
    [[5, 6]]
    >>> pairs([7, 8, 9])
    [[7, 8], [9]]
    >>> pairs([0, 0, 1, 1])
    [[0, 0], [1, 1]]
    >>> pairs([3])
    [[3]]
    >>> pairs([2, 4, 6, 8])
    [[2, 4], [6, 8]]
    """
    return [items[i : i + 2] for i in range(0, len(items), 2)]


def differences(numbers):
    """Each number minus the one before.

    >>> differences([1, 4, 6])
    [3, 2]
    >>> differences([5, 5])
    [0]
    >>> differences([9, 2, 3])
    [-7, 1]
    >>> differences([0, 8])
    [8]
    >>> differences([3, 6, 9])
    [3, 3]
    >>> differences([7, 1, 1])
    [-6, 0]
    """
    return [numbers[i + 1] - numbers[i] for i in range(len(numbers) - 1)]


def swap_ends(items):
    """Exchange the first and the last item.

    >>> swap_ends([1, 2, 3])
    [3, 2, 1]
    >>> swap_ends([4, 9])
    [9, 4]
    >>> swap_ends([5, 0, 7, 8])
    [8, 0, 7, 5]
    >>> swap_ends([6, 6, 2])
    [2, 6, 6]
    >>> swap_ends([2, 3, 1])
    [1, 3, 2]
    >>> swap_ends([9, 4, 4, 0])
    [0, 4, 4, 9]
    """
    return [items[-1]] + items[1:-1] + [items[0]]


def add_lists(a, b):
    """Add two lists place by place.

    >>> add_lists([1, 2], [3, 4])
    [4, 6]
    >>> add_lists([5], [2])
    [7]
    >>> add_lists([0, 1], [7, 8])
    [7, 9]
    >>> add_lists([2, 2], [1, 3])
    [3, 5]
    >>> add_lists([9, 1], [1, 9])
    [10, 10]
    >>> add_lists([3, 0, 4], [2, 5, 1])
    [5, 5, 5]
    """
    return [x + y for x, y in zip(a, b)]


def split_by(numbers, pivot):
    """First the numbers below the pivot, then the others.

    >>> split_by([3, 1, 2], 2)
    [1, 3, 2]
    >>> split_by([5, 4], 5)
    [4, 5]
    >>> split_by([7, 8], 6)
    [7, 8]
    >>> split_by([1, 9, 4], 5)
    [1, 4, 9]
    >>> split_by([2, 0, 6], 1)
    [0, 2, 6]
    >>> split_by([8, 3, 3, 9], 4)
    [3, 3, 8, 9]
    """
    small = [n for n in numbers if n < pivot]
    large = [n for n in numbers if n >= pivot]
    return small + large


def repeat_each(items):
    """Write every item twice.

    >>> repeat_each([1, 2])
    [1, 1, 2, 2]
    >>> repeat_each([5])
    [5, 5]
    >>> repeat_each([3, 3])
    [3, 3, 3, 3]
    >>> repeat_each([])
    []
    >>> repeat_each([7, 0, 4])
    [7, 7, 0, 0, 4, 4]
    >>> repeat_each([9, 8])
    [9, 9, 8, 8]
    """
    result = []
    for item in items:
        result.append(item)
        result.append(item)
    return result


def insert_sorted(numbers, new):
    """Put a number into a sorted list.

    >>> insert_sorted([1, 3], 2)
    [1, 2, 3]
    >>> insert_sorted([4, 5], 6)
    [4, 5, 6]
    >>> insert_sorted([7, 9], 3)
    [3, 7, 9]
    >>> insert_sorted([], 8)
    [8]
    >>> insert_sorted([2, 2], 2)
    [2, 2, 2]
    >>> insert_sorted([0, 5, 9], 4)
    [0, 4, 5, 9]
    """
    i = 0
    while i < len(numbers) and numbers[i] < new:
        i = i + 1
    return numbers[:i] + [new] + numbers[i:]


def pad(items, size):
    """Fill up with zeros to a length.

    >>> pad([1], 3)
    [1, 0, 0]
    >>> pad([4, 5], 2)
    [4, 5]
    >>> pad([], 2)
    [0, 0]
    >>> pad([7, 8], 4)
    [7, 8, 0, 0]
    >>> pad([9], 1)
    [9]
    >>> pad([2, 3, 6], 4)
    [2, 3, 6, 0]
    """
    return items + [0] * (size - len(items))
