"""Recursion and binary numbers."""


def sum_list(numbers):
    """Add up a list without a loop.

    >>> sum_list([1, 2])
    3
    >>> sum_list([5])
    5
    >>> sum_list([])
    0
    >>> sum_list([3, 0, 4])
    7
    >>> sum_list([7, 1, 1])
    9
    >>> sum_list([9, 9])
    18
    """
    if not numbers:
        return 0
    return numbers[0] + sum_list(numbers[1:])


def multiply(a, b):
    """Multiply by adding again and again.

    >>> multiply(2, 3)
    6
    >>> multiply(5, 1)
    5
    >>> multiply(4, 0)
    0
    >>> multiply(3, 3)
    9
    >>> multiply(1, 6)
    6
    >>> multiply(7, 2)
    14
    """
    if b == 0:
        return 0
    return a + multiply(a, b - 1)


def reverse_text(text):
    """Turn a text around, letter by letter.

    >>> reverse_text('abc')
    'cba'
    >>> reverse_text('d')
    'd'
    >>> reverse_text('ba')
    'ab'
    >>> reverse_text('')
    ''
    >>> reverse_text('cab')
    'bac'
    >>> reverse_text('dcba')
    'abcd'
    """
    if text == "":
        return ""
    return reverse_text(text[1:]) + text[0]


def depth(tree):
    """How deep lists are nested.

    >>> depth([])
    1
    >>> depth([[]])
    2
    >>> depth([[], [[]]])
    3
    >>> depth([[[]]])
    3
    >>> depth([[], []])
    2
    >>> depth([[[], []], []])
    3
    """
    if not tree:
        return 1
    return 1 + max([depth(branch) for branch in tree])


def digits(n):
    """The digits as a list.

    >>> digits(15)
    [1, 5]
    >>> digits(7)
    [7]
    >>> digits(320)
    [3, 2, 0]
    >>> digits(90)
    [9, 0]
    >>> digits(48)
    [4, 8]
    >>> digits(123)
    [1, 2, 3]
    """
    return [int(d) for d in str(n)]


def to_binary(n):
    """Write a number in binary.

    >>> to_binary(2)
    '10'
    >>> to_binary(5)
    '101'
    >>> to_binary(1)
    '1'
    >>> to_binary(8)
    '1000'
    >>> to_binary(6)
    '110'
    >>> to_binary(3)
    '11'
    """
    text = ""
    while n > 0:
        text = str(n % 2) + text
        n //= 2
    return text


def from_binary(text):
    """Read a binary number.

    >>> from_binary('10')
    2
    >>> from_binary('101')
    5
    >>> from_binary('1')
    1
    >>> from_binary('111')
    7
    >>> from_binary('1000')
    8
    >>> from_binary('0')
    0
    """
    value = 0
    for bit in text:
        value = value * 2 + int(bit)
    return value


def balanced(text):
    """Whether every bracket is closed.

    >>> balanced('()')
    False
    >>> balanced('(()')
    False
    >>> balanced('')
    True
    >>> balanced(')(')
    False
    >>> balanced('(())')
    False
    >>> balanced('()()')
    False
    """
    level = 0
    for c in text:
        level = level + 1 if c == "(" else -1
        if level < 0:
            return False
    return level == 0
