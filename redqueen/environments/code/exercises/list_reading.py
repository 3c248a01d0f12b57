"""Lists: looking, counting, deciding."""


def second_largest(numbers):
    """The second largest number.

    >>> second_largest([3, 8, 5])
    5
    >>> second_largest([9, 2])
    2
    >>> second_largest([4, 4, 1])
    4
    >>> second_largest([1, 2, 3, 4])
    3
    >>> second_largest([7, 0, 6])
    6
    >>> second_largest([5, 9, 9])
    9
    """
    return sorted(numbers)[-2]


def equal_neighbours(items):
    """Count the places where an item equals the next.

    >>> equal_neighbours([1, 1, 2])
    1
    >>> equal_neighbours([3, 2, 3])
    0
    >>> equal_neighbours([5, 5, 5])
    2
    >>> equal_neighbours([4, 6])
    0
    >>> equal_neighbours([2, 2, 8, 8])
    2
    >>> equal_neighbours([7, 9, 9])
    1
    """
    count = 0
    for i in range(len(items) - 1):
        if items[i] == items[i + 1]:
            count = count + 1
    return count


def index_of_max(numbers):
    """Where the largest number stands.

    >>> index_of_max([3, 8, 5])
    1
    >>> index_of_max([9, 2])
    0
    >>> index_of_max([4, 1, 6])
    2
    >>> index_of_max([1, 7, 7])
    1
    >>> index_of_max([0, 2, 3])
    2
    >>> index_of_max([5, 4, 9, 1])
    2
    """
    return numbers.index(max(numbers))


def is_sorted(numbers):
    """Whether a list is in order.

    >>> is_sorted([1, 2, 3])
    True
    >>> is_sorted([3, 1])
    False
    >>> is_sorted([4, 4])
    True
    >>> is_sorted([0, 5, 2])
    False
    >>> is_sorted([2, 6, 9])
    True
    >>> is_sorted([9, 8, 7])
    False
    """
    return numbers == sorted(numbers)


def first_or_zero(items):
    """The first item, or 0 if there is none.

    >>> first_or_zero([4, 2])
    4
    >>> first_or_zero([])
    0
    >>> first_or_zero([7])
    7
    >>> first_or_zero([0, 9])
    0
    >>> first_or_zero([3, 3, 1])
    3
    >>> first_or_zero([8, 5])
    8
    """
    return items[0] if items else 0


def product(numbers):
    """Multiply all numbers.

    >>> product([2, 3])
    6
    >>> product([5])
    5
    >>> product([1, 4, 2])
    8
    >>> product([0, 9])
    0
    >>> product([3, 3])
    9
    >>> product([2, 2, 2])
    8
    """
    result = 1
    for n in numbers:
        result *= n
    return result


def dot(a, b):
    """Multiply two lists place by place and add up.

    >>> dot([1, 2], [3, 4])
    11
    >>> dot([5], [2])
    10
    >>> dot([0, 1], [7, 8])
    8
    >>> dot([2, 2], [1, 3])
    8
    >>> dot([1, 1, 1], [4, 5, 6])
    15
    >>> dot([3, 0], [2, 9])
    6
    """
    return sum(x * y for x, y in zip(a, b))


def count_above(numbers, limit):
    """How many numbers are above a limit.

    >>> count_above([1, 5, 9], 4)
    2
    >>> count_above([2, 3], 3)
    0
    >>> count_above([7, 8, 6], 5)
    3
    >>> count_above([0, 4], 6)
    0
    >>> count_above([3, 9, 1], 2)
    2
    >>> count_above([5, 5, 5], 4)
    3
    """
    return len([n for n in numbers if n > limit])


def all_equal(items):
    """Whether all items are the same.

    >>> all_equal([2, 2])
    True
    >>> all_equal([1, 3])
    False
    >>> all_equal([5, 5, 5])
    True
    >>> all_equal([4, 4, 0])
    False
    >>> all_equal([7])
    True
    >>> all_equal([9, 8, 9])
    False
    """
    return items.count(items[0]) == len(items)


def palindrome(items):
    """Whether a list reads the same backwards.

    >>> palindrome([1, 2, 1])
    True
    >>> palindrome([1, 2])
    False
    >>> palindrome([3, 3])
    True
    >>> palindrome([4, 0, 5])
    False
    >>> palindrome([6])
    True
    >>> palindrome([7, 8, 8, 7])
    True
    """
    return items == items[::-1]


def spread(numbers):
    """The distance from the smallest to the largest number.

    >>> spread([3, 8, 5])
    5
    >>> spread([9, 2])
    7
    >>> spread([4, 4])
    0
    >>> spread([1, 7, 6])
    6
    >>> spread([0, 9])
    9
    >>> spread([5, 2, 3])
    3
    """
    low = high = numbers[0]
    for n in numbers:
        if n < low:
            low = n
        if n > high:
            high = n
    return high - low


def last_items(items, k):
    """The last k items.

    >>> last_items([1, 2, 3], 2)
    [2, 3]
    >>> last_items([4, 5], 1)
    [5]
    >>> last_items([6, 7, 8, 9], 3)
    [7, 8, 9]
    >>> last_items([0, 1], 2)
    [0, 1]
    >>> last_items([5, 3, 2], 1)
    [2]
    >>> last_items([8, 8, 4], 2)
    [8, 4]
    """
    return items[len(items) - k :]


def evens(numbers):
    """Keep the even numbers.

    >>> evens([1, 2, 3])
    [2]
    >>> evens([4, 6])
    [4, 6]
    >>> evens([5, 7])
    []
    >>> evens([0, 9, 8])
    [0, 8]
    >>> evens([2, 2, 1])
    [2, 2]
    >>> evens([3, 10, 5])
    [10]
    """
    return [n for n in numbers if n % 2 == 0]


def every_other(items):
    """Every second item, from the first.

    >>> every_other([1, 2, 3])
    [1, 3]
    >>> every_other([4, 5])
    [4]
    >>> every_other([6])
    [6]
    >>> every_other([7, 8, 9, 0])
    [7, 9]
    >>> every_other([2, 2, 5, 5, 3])
    [2, 5, 3]
    >>> every_other([9, 1, 1, 4])
    [9, 1]
    """
    return items[::2]


def without(items, unwanted):
    """Remove all copies of an item.

    >>> without([1, 2, 1], 1)
    [2]
    >>> without([3, 4], 4)
    [3]
    >>> without([5, 5], 5)
    []
    >>> without([6, 7, 8], 2)
    [6, 7, 8]
    >>> without([0, 9, 0], 0)
    [9]
    >>> without([2, 3, 2, 4], 2)
    [3, 4]
    """
    return [item for item in items if item != unwanted]


def drop_smallest(numbers):
    """Remove the smallest number once.

    >>> drop_smallest([3, 1, 2])
    [3, 2]
    >>> drop_smallest([5, 4])
    [5]
    >>> drop_smallest([7])
    []
    >>> drop_smallest([2, 2, 9])
    [2, 9]
    >>> drop_smallest([8, 6, 0])
    [8, 6]
    >>> drop_smallest([1, 4, 1])
    [4, 1]
    """
    rest = list(numbers)
    rest.remove(min(rest))
    return rest
