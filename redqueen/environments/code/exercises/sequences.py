"""Sequences and simulations."""


def fibonacci(n):
    """The nth Fibonacci number.

    >>> fibonacci(1)
    1
    >>> fibonacci(5)
    5
    >>> fibonacci(0)
    0
    >>> fibonacci(3)
    2
    >>> fibonacci(7)
    13
    >>> fibonacci(4)
    3
    """
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def sum_of_squares(n):
    """Add up the squares from 1 to n.

    >>> sum_of_squares(2)
    5
    >>> sum_of_squares(1)
    1
    >>> sum_of_squares(4)
    30
    >>> sum_of_squares(3)
    14
    >>> sum_of_squares(0)
    0
    >>> sum_of_squares(5)
    55
    """
    total = 0
    for k in range(1, n + 1):
        total += k * k
    return total


def countdown(n):
    """Count down to one.

    >>> countdown(3)
    [3, 2, 1]
    >>> countdown(1)
    [1]
    >>> countdown(5)
    [5, 4, 3, 2, 1]
    >>> countdown(0)
    []
    >>> countdown(4)
    [4, 3, 2, 1]
    >>> countdown(2)
    [2, 1]
    """
    result = []
    while n > 0:
        result.append(n)
        n -= 1
    return result


def halvings(n):
    """How often a number can be halved until it is 1.

    >>> halvings(8)
    3
    >>> halvings(1)
    0
    >>> halvings(5)
    2
    >>> halvings(16)
    4
    >>> halvings(3)
    1
    >>> halvings(10)
    3
    """
    count = 0
    while n > 1:
        n //= 2
        count += 1
    return count


def years_to_save(goal, yearly):
    """How many years it takes to save an amount.

    >>> years_to_save(10, 3)
    4
    >>> years_to_save(5, 5)
    1
    >>> years_to_save(7, 2)
    4
    >>> years_to_save(0, 4)
    0
    >>> years_to_save(9, 4)
    3
    >>> years_to_save(12, 6)
    2
    """
    saved = 0
    years = 0
    while saved < goal:
        saved += yearly
        years += 1
    return years


def bounces(height):
    """A ball loses three at each bounce; list its heights.

    >>> bounces(10)
    [10, 7, 4, 1]
    >>> bounces(4)
    [4, 1]
    >>> bounces(3)
    [3]
    >>> bounces(7)
    [7, 4, 1]
    >>> bounces(0)
    []
    >>> bounces(12)
    [12, 9, 6, 3]
    """
    heights = []
    while height > 0:
        heights.append(height)
        height -= 3
    return heights


def water(levels):
    """The level of a tank after all changes, never below zero.

    >>> water([2, -1])
    1
    >>> water([-3, 2])
    2
    >>> water([4, -6, 1])
    1
    >>> water([1, 1, 1])
    3
    >>> water([-2])
    0
    >>> water([5, -2, -2])
    1
    """
    tank = 0
    for change in levels:
        tank = max(0, tank + change)
    return tank


def walk(path):
    """Where a walk of letters l and r ends.

    >>> walk('r')
    1
    >>> walk('rrl')
    1
    >>> walk('ll')
    -2
    >>> walk('lr')
    0
    >>> walk('rrrl')
    2
    >>> walk('')
    0
    """
    position = 0
    for turn in path:
        if turn == "r":
            position += 1
        else:
            position -= 1
    return position


def hailstone(n):
    """The sequence of halving and tripling, at most five numbers.

    >>> hailstone(6)
    [6, 3, 10, 5, 16]
    >>> hailstone(1)
    [1]
    >>> hailstone(8)
    [8, 4, 2, 1]
    >>> hailstone(3)
    [3, 10, 5, 16, 8]
    >>> hailstone(5)
    [5, 16, 8, 4, 2]
    >>> hailstone(10)
    [10, 5, 16, 8, 4]
    """
    seen = [n]
    while n != 1 and len(seen) < 5:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        seen.append(n)
    return seen
