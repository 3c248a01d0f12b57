"""Whole numbers: digits, divisors, ranges."""


def clamp(n, low, high):
    """Keep a number within a range.

    >>> clamp(5, 1, 9)
    5
    >>> clamp(0, 2, 6)
    2
    >>> clamp(8, 2, 6)
    6
    >>> clamp(3, 3, 4)
    3
    >>> clamp(9, 0, 9)
    9
    >>> clamp(7, 1, 5)
    5
    """
    if n < low:
        return low
    if n > high:
        return high
    return n


def distance(a, b):
    """How far two numbers are apart.

    >>> distance(3, 8)
    5
    >>> distance(9, 4)
    5
    >>> distance(5, 5)
    0
    >>> distance(0, 7)
    7
    >>> distance(12, 2)
    10
    >>> distance(1, 6)
    5
    """
    return abs(a - b)


def is_even(n):
    """Whether a number is even.

    >>> is_even(4)
    True
    >>> is_even(7)
    False
    >>> is_even(0)
    True
    >>> is_even(9)
    False
    >>> is_even(12)
    True
    >>> is_even(15)
    False
    """
    return n % 2 == 0


def sign(n):
    """1 for positive, -1 for negative, 0 for zero.

    >>> sign(5)
    1
    >>> sign(-3)
    -1
    >>> sign(0)
    0
    >>> sign(9)
    1
    >>> sign(-1)
    -1
    >>> sign(2)
    1
    """
    if n > 0:
        return 1
    if n < 0:
        return -1
    return 0


def larger(a, b):
    """The larger of two numbers.

    >>> larger(3, 8)
    8
    >>> larger(9, 2)
    9
    >>> larger(5, 5)
    5
    >>> larger(0, 1)
    1
    >>> larger(7, 4)
    7
    >>> larger(6, 10)
    10
    """
    return a if a > b else b


def middle(a, b, c):
    """The middle one of three numbers.

    >>> middle(3, 1, 2)
    2
    >>> middle(5, 9, 7)
    7
    >>> middle(4, 4, 8)
    4
    >>> middle(6, 2, 1)
    2
    >>> middle(0, 3, 9)
    3
    >>> middle(8, 5, 6)
    6
    """
    return sorted([a, b, c])[1]


def digit_sum(n):
    """Add up the digits.

    >>> digit_sum(15)
    6
    >>> digit_sum(7)
    7
    >>> digit_sum(32)
    5
    >>> digit_sum(90)
    9
    >>> digit_sum(123)
    6
    >>> digit_sum(408)
    12
    """
    total = 0
    while n > 0:
        total = total + n % 10
        n //= 10
    return total


def count_digits(n):
    """How many digits a number has.

    >>> count_digits(7)
    1
    >>> count_digits(42)
    2
    >>> count_digits(100)
    3
    >>> count_digits(9)
    1
    >>> count_digits(2024)
    4
    >>> count_digits(65)
    2
    """
    return len(str(n))


def reverse_digits(n):
    """Read the digits backwards.

    >>> reverse_digits(12)
    21
    >>> reverse_digits(70)
    7
    >>> reverse_digits(5)
    5
    >>> reverse_digits(123)
    321
    >>> reverse_digits(96)
    69
    >>> reverse_digits(410)
    14
    """
    result = 0
    while n > 0:
        result = result * 10 + n % 10
        n //= 10
    return result


def factorial(n):
    """Product of the numbers up to n.

    >>> factorial(3)
    6
    >>> factorial(1)
    1
    >>> factorial(4)
    24
    >>> factorial(0)
    1
    >>> factorial(2)
    2
    >>> factorial(5)
    120
    """
    result = 1
    for k in range(2, n + 1):
        result *= k
    return result


def gcd(a, b):
    """Greatest common divisor.

    >>> gcd(4, 6)
    2
    >>> gcd(9, 3)
    3
    >>> gcd(8, 5)
    1
    >>> gcd(12, 18)
    6
    >>> gcd(7, 7)
    7
    >>> gcd(10, 4)
    2
    """
    while b:
        a, b = b, a % b
    return a


def power(base, exponent):
    """Multiply a number by itself.

    >>> power(2, 3)
    8
    >>> power(3, 2)
    9
    >>> power(5, 1)
    5
    >>> power(7, 0)
    1
    >>> power(2, 5)
    32
    >>> power(4, 2)
    16
    """
    result = 1
    for _ in range(exponent):
        result = result * base
    return result


def triangle(n):
    """Sum of the numbers from 1 to n.

    >>> triangle(3)
    6
    >>> triangle(1)
    1
    >>> triangle(5)
    15
    >>> triangle(4)
    10
    >>> triangle(7)
    28
    >>> triangle(10)
    55
    """
    return sum(range(n + 1))


def is_prime(n):
    """Whether a number is prime.

    >>> is_prime(2)
    True
    >>> is_prime(9)
    False
    >>> is_prime(7)
    True
    >>> is_prime(1)
    False
    >>> is_prime(11)
    True
    >>> is_prime(15)
    False
    """
    if n < 2:
        return False
    for d in range(2, n):
        if n % d == 0:
            return False
    return True


def smallest_divisor(n):
    """The smallest divisor above 1.

    >>> smallest_divisor(9)
    3
    >>> smallest_divisor(4)
    2
    >>> smallest_divisor(7)
    7
    >>> smallest_divisor(15)
    3
    >>> smallest_divisor(25)
    5
    >>> smallest_divisor(6)
    2
    """
    d = 2
    while n % d != 0:
        d = d + 1
    return d


def divisors(n):
    """All divisors of a number.

    >>> divisors(6)
    [1, 2, 3, 6]
    >>> divisors(5)
    [1, 5]
    >>> divisors(8)
    [1, 2, 4, 8]
    >>> divisors(9)
    [1, 3, 9]
    >>> divisors(1)
    [1]
    >>> divisors(10)
    [1, 2, 5, 10]
    """
    return [d for d in range(1, n + 1) if n % d == 0]


def collatz_steps(n):
    """Halve even numbers, else triple and add one; count the steps to 1.

    >>> collatz_steps(1)
    0
    >>> collatz_steps(2)
    1
    >>> collatz_steps(8)
    3
    >>> collatz_steps(5)
    5
    >>> collatz_steps(3)
    7
    >>> collatz_steps(4)
    2
    """
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps = steps + 1
    return steps


def round_down(n):
    """Round down to a multiple of ten.

    >>> round_down(17)
    10
    >>> round_down(40)
    40
    >>> round_down(9)
    0
    >>> round_down(63)
    60
    >>> round_down(25)
    20
    >>> round_down(81)
    80
    """
    return n - n % 10


def last_digit(n):
    """The last digit.

    >>> last_digit(17)
    7
    >>> last_digit(40)
    0
    >>> last_digit(9)
    9
    >>> last_digit(63)
    3
    >>> last_digit(128)
    8
    >>> last_digit(5)
    5
    """
    return n % 10


def average(a, b):
    """The average of two numbers, rounded down.

    >>> average(4, 6)
    5
    >>> average(3, 8)
    5
    >>> average(9, 9)
    9
    >>> average(0, 5)
    2
    >>> average(7, 2)
    4
    >>> average(10, 1)
    5
    """
    return (a + b) // 2


def is_square(n):
    """Whether a number is a square.

    >>> is_square(4)
    True
    >>> is_square(5)
    False
    >>> is_square(9)
    True
    >>> is_square(1)
    True
    >>> is_square(12)
    False
    >>> is_square(16)
    True
    """
    root = 0
    while root * root < n:
        root = root + 1
    return root * root == n


def strip_twos(n):
    """Halve a number until it is odd.

    >>> strip_twos(12)
    3
    >>> strip_twos(7)
    7
    >>> strip_twos(8)
    1
    >>> strip_twos(20)
    5
    >>> strip_twos(6)
    3
    >>> strip_twos(1)
    1
    """
    while n % 2 == 0:
        n = n // 2
    return n


def count_ones(n):
    """Count the ones in binary.

    >>> count_ones(5)
    2
    >>> count_ones(8)
    1
    >>> count_ones(7)
    3
    >>> count_ones(0)
    0
    >>> count_ones(12)
    2
    >>> count_ones(3)
    2
    """
    ones = 0
    while n:
        ones = ones + n % 2
        n = n // 2
    return ones
