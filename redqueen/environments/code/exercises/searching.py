"""Searching: places, runs, best choices."""


def find(items, wanted):
    """Where an item stands, -1 if nowhere.

    >>> find([4, 5, 6], 5)
    1
    >>> find([7, 8], 9)
    -1
    >>> find([1], 1)
    0
    >>> find([], 3)
    -1
    >>> find([2, 2, 3], 2)
    0
    >>> find([0, 9, 6], 6)
    2
    """
    for i, item in enumerate(items):
        if item == wanted:
            return i
    return -1


def binary_search(numbers, wanted):
    """How many looks a binary search needs.

    >>> binary_search([1, 3, 5], 3)
    1
    >>> binary_search([2, 4, 6, 8], 8)
    3
    >>> binary_search([7], 7)
    1
    >>> binary_search([1, 2], 5)
    2
    >>> binary_search([0, 3, 6, 9], 3)
    1
    >>> binary_search([4, 5, 9], 4)
    2
    """
    low = 0
    high = len(numbers) - 1
    looks = 0
    while low <= high:
        looks = looks + 1
        mid = (low + high) // 2
        if numbers[mid] == wanted:
            return looks
        if numbers[mid] < wanted:
            low = mid + 1
        else:
            high = mid - 1
    return looks


def selection_sort(numbers):
    """Sort by taking the smallest again and again.

    >>> selection_sort([3, 1, 2])
    [1, 2, 3]
    >>> selection_sort([5, 4])
    [4, 5]
    >>> selection_sort([7])
    [7]
    >>> selection_sort([2, 9, 2])
    [2, 2, 9]
    >>> selection_sort([8, 0, 6, 1])
    [0, 1, 6, 8]
    >>> selection_sort([])
    []
    """
    rest = list(numbers)
    result = []
    while rest:
        smallest = min(rest)
        rest.remove(smallest)
        result.append(smallest)
    return result


def longest_run(items):
    """The length of the longest row of equal items.

    >>> longest_run([1, 1, 2])
    2
    >>> longest_run([3, 2, 3])
    1
    >>> longest_run([5, 5, 5])
    3
    >>> longest_run([4])
    1
    >>> longest_run([2, 2, 8, 8, 8])
    3
    >>> longest_run([7, 9, 9, 7])
    2
    """
    best = 0
    run = 0
    last = None
    for item in items:
        run = run + 1 if item == last else 1
        last = item
        best = max(best, run)
    return best


def best_gain(prices):
    """The best gain from buying once and selling later.

    >>> best_gain([1, 5])
    4
    >>> best_gain([4, 2])
    0
    >>> best_gain([3, 1, 6])
    5
    >>> best_gain([2, 7, 1, 3])
    5
    >>> best_gain([5, 5])
    0
    >>> best_gain([9, 2, 4, 8])
    6
    """
    lowest = prices[0]
    gain = 0
    for price in prices:
        lowest = min(lowest, price)
        gain = max(gain, price - lowest)
    return gain


def odd_one_out(numbers):
    """The only number that comes once.

    >>> odd_one_out([1, 1, 2])
    2
    >>> odd_one_out([3, 5, 3])
    5
    >>> odd_one_out([7])
    7
    >>> odd_one_out([4, 9, 9])
    4
    >>> odd_one_out([6, 2, 6, 2, 8])
    8
    >>> odd_one_out([0, 5, 5])
    0
    """
    for n in numbers:
        if numbers.count(n) == 1:
            return n
    return None


def missing(numbers):
    """The smallest number from 1 on that is missing.

    >>> missing([1, 2])
    3
    >>> missing([2, 3])
    1
    >>> missing([1, 3])
    2
    >>> missing([])
    1
    >>> missing([3, 1, 2])
    4
    >>> missing([4, 1, 2])
    3
    """
    n = 1
    while n in numbers:
        n = n + 1
    return n


def sum_to_limit(numbers, limit):
    """Add numbers as long as the sum stays within a limit.

    >>> sum_to_limit([1, 2, 3], 4)
    3
    >>> sum_to_limit([5, 1], 3)
    0
    >>> sum_to_limit([2, 2, 2], 6)
    6
    >>> sum_to_limit([], 5)
    0
    >>> sum_to_limit([4, 3, 1], 7)
    7
    >>> sum_to_limit([1, 1, 9], 8)
    2
    """
    total = 0
    for n in numbers:
        if total + n > limit:
            break
        total = total + n
    return total


def first_power_above(limit):
    """The first power of two above a limit.

    >>> first_power_above(5)
    8
    >>> first_power_above(1)
    2
    >>> first_power_above(8)
    16
    >>> first_power_above(0)
    1
    >>> first_power_above(15)
    16
    >>> first_power_above(20)
    32
    """
    power = 1
    while power <= limit:
        power *= 2
    return power


def stack(steps):
    """Push numbers, pop at zero.

    >>> stack([1, 2])
    [1, 2]
    >>> stack([3, 0])
    []
    >>> stack([4, 5, 0, 6])
    [4, 6]
    >>> stack([7, 0, 8])
    [8]
    >>> stack([1, 2, 0, 0])
    []
    >>> stack([9])
    [9]
    """
    items = []
    for step in steps:
        if step == 0:
            items.pop()
        else:
            items.append(step)
    return items
