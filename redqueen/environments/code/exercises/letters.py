"""Letters: counting, changing, simple ciphers."""


def count_vowels(text):
    """Count the vowels.

    >>> count_vowels('banana')
    3
    >>> count_vowels('sky')
    0
    >>> count_vowels('tea')
    2
    >>> count_vowels('code')
    2
    >>> count_vowels('b')
    0
    >>> count_vowels('ice')
    2
    """
    return sum(1 for c in text if c in "aeiou")


def caesar(text, shift):
    """Move each letter along the alphabet.

    >>> caesar('abc', 1)
    'bcd'
    >>> caesar('xyz', 2)
    'zab'
    >>> caesar('hat', 3)
    'kdw'
    >>> caesar('ad', 0)
    'ad'
    >>> caesar('bad', 4)
    'feh'
    >>> caesar('zoo', 1)
    'app'
    """
    result = ""
    for c in text:
        result += chr((ord(c) - 97 + shift) % 26 + 97)
    return result


def first_repeat(text):
    """The first letter that comes twice.

    >>> first_repeat('abca')
    'a'
    >>> first_repeat('abb')
    'b'
    >>> first_repeat('abc')
    ''
    >>> first_repeat('dcdc')
    'd'
    >>> first_repeat('aa')
    'a'
    >>> first_repeat('cabba')
    'b'
    """
    seen = ""
    for c in text:
        if c in seen:
            return c
        seen += c
    return ""


def drop_vowels(text):
    """Remove the vowels.

    >>> drop_vowels('banana')
    'bnn'
    >>> drop_vowels('sky')
    'sky'
    >>> drop_vowels('tea')
    't'
    >>> drop_vowels('abc')
    'bc'
    >>> drop_vowels('dab')
    'db'
    >>> drop_vowels('code')
    'cd'
    """
    return "".join([c for c in text if c not in "aeiou"])


def double_letters(text):
    """Write each letter twice.

    >>> double_letters('abc')
    'aabbcc'
    >>> double_letters('a')
    'aa'
    >>> double_letters('db')
    'ddbb'
    >>> double_letters('')
    ''
    >>> double_letters('cc')
    'cccc'
    >>> double_letters('bad')
    'bbaadd'
    """
    result = ""
    for c in text:
        result += c * 2
    return result


def dashed(text):
    """Put dashes between the letters.

    >>> dashed('abc')
    'a-b-c'
    >>> dashed('a')
    'a'
    >>> dashed('db')
    'd-b'
    >>> dashed('cab')
    'c-a-b'
    >>> dashed('dd')
    'd-d'
    >>> dashed('abcd')
    'a-b-c-d'
    """
    return "-".join(list(text))


def count_letter(text, letter):
    """How often a letter comes.

    >>> count_letter('banana', 'a')
    3
    >>> count_letter('abc', 'c')
    1
    >>> count_letter('dd', 'd')
    2
    >>> count_letter('cab', 'd')
    0
    >>> count_letter('abab', 'b')
    2
    >>> count_letter('a', 'a')
    1
    """
    count = 0
    for c in text:
        if c == letter:
            count += 1
    return count


def alternate(text):
    """Every second letter large.

    >>> alternate('abcd')
    'AbCd'
    >>> alternate('a')
    'A'
    >>> alternate('dab')
    'DaB'
    >>> alternate('cc')
    'Cc'
    >>> alternate('bada')
    'BaDa'
    >>> alternate('xyz')
    'XyZ'
    """
    result = ""
    for i, c in enumerate(text):
        result += c.upper() if i % 2 == 0 else c
    return result


def run_lengths(text):
    """Each letter with how often it stands in a row.

    >>> run_lengths('aab')
    'a2b1'
    >>> run_lengths('abc')
    'a1b1c1'
    >>> run_lengths('ccc')
    'c3'
    >>> run_lengths('abba')
    'a1b2a1'
    >>> run_lengths('d')
    'd1'
    >>> run_lengths('ddcc')
    'd2c2'
    """
    result = ""
    i = 0
    while i < len(text):
        j = i
        while j < len(text) and text[j] == text[i]:
            j += 1
        result += text[i] + str(j - i)
        i = j
    return result


def swap_letters(text):
    """Exchange the letters a and b.

    >>> swap_letters('abc')
    'bac'
    >>> swap_letters('bad')
    'abd'
    >>> swap_letters('cc')
    'cc'
    >>> swap_letters('aab')
    'bba'
    >>> swap_letters('b')
    'a'
    >>> swap_letters('dada')
    'dbdb'
    """
    result = ""
    for c in text:
        if c == "a":
            result += "b"
        elif c == "b":
            result += "a"
        else:
            result += c
    return result


def sort_letters(word):
    """The letters in order.

    >>> sort_letters('cab')
    'abc'
    >>> sort_letters('dad')
    'add'
    >>> sort_letters('ba')
    'ab'
    >>> sort_letters('abc')
    'abc'
    >>> sort_letters('dcba')
    'abcd'
    >>> sort_letters('a')
    'a'
    """
    return "".join(sorted(word))


def pad_left(text, width):
    """Fill up with dots on the left.

    >>> pad_left('a', 3)
    '..a'
    >>> pad_left('bc', 2)
    'bc'
    >>> pad_left('d', 2)
    '.d'
    >>> pad_left('cab', 4)
    '.cab'
    >>> pad_left('', 2)
    '..'
    >>> pad_left('dd', 5)
    '...dd'
    """
    while len(text) < width:
        text = "." + text
    return text


def letter_number(letter):
    """The place of a letter in the alphabet.

    >>> letter_number('a')
    1
    >>> letter_number('c')
    3
    >>> letter_number('f')
    6
    >>> letter_number('b')
    2
    >>> letter_number('h')
    8
    >>> letter_number('d')
    4
    """
    return "abcdefgh".index(letter) + 1


def mirror(text):
    """A text and then its mirror image.

    >>> mirror('ab')
    'abba'
    >>> mirror('c')
    'cc'
    >>> mirror('dad')
    'daddad'
    >>> mirror('abc')
    'abccba'
    >>> mirror('ba')
    'baab'
    >>> mirror('cd')
    'cddc'
    """
    return text + text[::-1]


def unique_letters(text):
    """Each letter once, in order of appearance.

    >>> unique_letters('abca')
    'abc'
    >>> unique_letters('aab')
    'ab'
    >>> unique_letters('dcd')
    'dc'
    >>> unique_letters('b')
    'b'
    >>> unique_letters('abcd')
    'abcd'
    >>> unique_letters('cacb')
    'cab'
    """
    result = ""
    for c in text:
        if c not in result:
            result += c
    return result


def count_large(text):
    """Count the capital letters.

    >>> count_large('aBc')
    1
    >>> count_large('ABC')
    3
    >>> count_large('abc')
    0
    >>> count_large('Dad')
    1
    >>> count_large('bAdA')
    2
    >>> count_large('C')
    1
    """
    return len([c for c in text if c.isupper()])
