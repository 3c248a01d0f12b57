"""Seed functions for chat models: numbers."""


def digit_sums(number):
    """Adds the digits of a number again and again; lists all sums on the way to one digit.

    >>> digit_sums(987)
    [987, 24, 6]
    >>> digit_sums(5)
    [5]
    >>> digit_sums(38)
    [38, 11, 2]
    >>> digit_sums(9999)
    [9999, 36, 9]
    >>> digit_sums(10)
    [10, 1]
    >>> digit_sums(100)
    [100, 1]
    >>> digit_sums(78)
    [78, 15, 6]
    >>> digit_sums(123456)
    [123456, 21, 3]
    >>> digit_sums(19)
    [19, 10, 1]
    >>> digit_sums(0)
    [0]
    """
    steps = [number]
    while steps[-1] > 9:
        steps.append(sum(int(digit) for digit in str(steps[-1])))
    return steps


def collatz_steps(number):
    """Counts the steps until a number comes to 1: half of an even one, else 3 n + 1.

    >>> collatz_steps(6)
    8
    >>> collatz_steps(1)
    0
    >>> collatz_steps(7)
    16
    >>> collatz_steps(16)
    4
    >>> collatz_steps(3)
    7
    >>> collatz_steps(10)
    6
    >>> collatz_steps(5)
    5
    >>> collatz_steps(12)
    9
    >>> collatz_steps(20)
    7
    >>> collatz_steps(2)
    1
    """
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


def prime_factors(number):
    """Takes a number apart into its prime factors, the smallest first.

    >>> prime_factors(12)
    [2, 2, 3]
    >>> prime_factors(97)
    [97]
    >>> prime_factors(1)
    []
    >>> prime_factors(64)
    [2, 2, 2, 2, 2, 2]
    >>> prime_factors(90)
    [2, 3, 3, 5]
    >>> prime_factors(35)
    [5, 7]
    >>> prime_factors(49)
    [7, 7]
    >>> prime_factors(100)
    [2, 2, 5, 5]
    >>> prime_factors(2)
    [2]
    >>> prime_factors(210)
    [2, 3, 5, 7]
    """
    factors = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    if number > 1:
        factors.append(number)
    return factors


def change(amount, coins):
    """Pays an amount with the largest coins first; the rest that cannot be paid comes last.

    >>> change(87, [1, 5, 10, 25])
    ({25: 3, 10: 1, 1: 2}, 0)
    >>> change(4, [5])
    ({}, 4)
    >>> change(0, [1, 2])
    ({}, 0)
    >>> change(30, [10, 20])
    ({20: 1, 10: 1}, 0)
    >>> change(63, [25, 10, 5, 1])
    ({25: 2, 10: 1, 1: 3}, 0)
    >>> change(7, [2, 3])
    ({3: 2}, 1)
    >>> change(99, [50])
    ({50: 1}, 49)
    >>> change(11, [4, 6])
    ({6: 1, 4: 1}, 1)
    >>> change(18, [1, 7])
    ({7: 2, 1: 4}, 0)
    >>> change(40, [15, 5])
    ({15: 2, 5: 2}, 0)
    """
    used = {}
    for coin in sorted(coins, reverse=True):
        count, amount = divmod(amount, coin)
        if count:
            used[coin] = count
    return used, amount


def in_base(number, base):
    """Writes a number in another base, up to ten.

    >>> in_base(10, 2)
    '1010'
    >>> in_base(0, 7)
    '0'
    >>> in_base(255, 8)
    '377'
    >>> in_base(81, 3)
    '10000'
    >>> in_base(99, 10)
    '99'
    >>> in_base(6, 6)
    '10'
    >>> in_base(31, 4)
    '133'
    >>> in_base(127, 5)
    '1002'
    >>> in_base(1, 9)
    '1'
    >>> in_base(64, 2)
    '1000000'
    """
    if number == 0:
        return "0"
    digits = ""
    while number > 0:
        digits = str(number % base) + digits
        number //= base
    return digits


def clock_add(time, minutes):
    """Adds minutes to a time of day written as hours:minutes.

    >>> clock_add('10:30', 45)
    '11:15'
    >>> clock_add('23:50', 15)
    '00:05'
    >>> clock_add('00:00', -1)
    '23:59'
    >>> clock_add('07:05', 0)
    '07:05'
    >>> clock_add('12:00', 1440)
    '12:00'
    >>> clock_add('9:59', 1)
    '10:00'
    >>> clock_add('18:20', 100)
    '20:00'
    >>> clock_add('03:15', -200)
    '23:55'
    >>> clock_add('22:22', 222)
    '02:04'
    >>> clock_add('00:01', 59)
    '01:00'
    """
    hours, mins = time.split(":")
    total = (int(hours) * 60 + int(mins) + minutes) % (24 * 60)
    return f"{total // 60:02d}:{total % 60:02d}"


def roman(number):
    """Writes a number in Roman numerals.

    >>> roman(14)
    'XIV'
    >>> roman(9)
    'IX'
    >>> roman(3)
    'III'
    >>> roman(38)
    'XXXVIII'
    >>> roman(20)
    'XX'
    >>> roman(4)
    'IV'
    >>> roman(29)
    'XXIX'
    >>> roman(6)
    'VI'
    >>> roman(1)
    'I'
    >>> roman(17)
    'XVII'
    """
    signs = [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    text = ""
    for value, sign in signs:
        while number >= value:
            text += sign
            number -= value
    return text


def sum_between(low, high, divisor):
    """Adds the numbers of a range that a divisor divides, ends included.

    >>> sum_between(1, 10, 3)
    18
    >>> sum_between(5, 5, 5)
    5
    >>> sum_between(8, 3, 2)
    0
    >>> sum_between(0, 20, 7)
    21
    >>> sum_between(2, 12, 4)
    24
    >>> sum_between(1, 6, 1)
    21
    >>> sum_between(10, 15, 6)
    12
    >>> sum_between(3, 9, 10)
    0
    >>> sum_between(1, 100, 50)
    150
    >>> sum_between(7, 21, 7)
    42
    """
    return sum(n for n in range(low, high + 1) if n % divisor == 0)
