"""Words: beginnings, ends, whole sentences."""


def capitalize(word):
    """Make the first letter large.

    >>> capitalize('cat')
    'Cat'
    >>> capitalize('dog')
    'Dog'
    >>> capitalize('a')
    'A'
    >>> capitalize('bad')
    'Bad'
    >>> capitalize('cab')
    'Cab'
    >>> capitalize('hello')
    'Hello'
    """
    return word[0].upper() + word[1:]


def same_backwards(word):
    """Whether a word reads the same backwards.

    >>> same_backwards('abba')
    True
    >>> same_backwards('abc')
    False
    >>> same_backwards('dad')
    True
    >>> same_backwards('a')
    True
    >>> same_backwards('cd')
    False
    >>> same_backwards('level')
    True
    """
    for i in range(len(word)):
        if word[i] != word[-1 - i]:
            return False
    return True


def initials(name):
    """The first letters of the words.

    >>> initials('ann bee')
    'ab'
    >>> initials('tom')
    't'
    >>> initials('red hot cat')
    'rhc'
    >>> initials('a b')
    'ab'
    >>> initials('big dog')
    'bd'
    >>> initials('cab dab')
    'cd'
    """
    return "".join([word[0] for word in name.split()])


def longest_word(text):
    """The longest word.

    >>> longest_word('a cat')
    'cat'
    >>> longest_word('dog is')
    'dog'
    >>> longest_word('one three')
    'three'
    >>> longest_word('ab cd')
    'ab'
    >>> longest_word('big')
    'big'
    >>> longest_word('b bb bbb')
    'bbb'
    """
    longest = ""
    for word in text.split():
        if len(word) > len(longest):
            longest = word
    return longest


def common_prefix(a, b):
    """The beginning that two words share.

    >>> common_prefix('abc', 'abd')
    'ab'
    >>> common_prefix('dog', 'cat')
    ''
    >>> common_prefix('ab', 'abc')
    'ab'
    >>> common_prefix('aa', 'ab')
    'a'
    >>> common_prefix('cab', 'cab')
    'cab'
    >>> common_prefix('d', 'dad')
    'd'
    """
    n = 0
    while n < len(a) and n < len(b) and a[n] == b[n]:
        n = n + 1
    return a[:n]


def is_anagram(a, b):
    """Whether two words have the same letters.

    >>> is_anagram('abc', 'cab')
    True
    >>> is_anagram('ab', 'aa')
    False
    >>> is_anagram('dad', 'add')
    True
    >>> is_anagram('c', 'd')
    False
    >>> is_anagram('bb', 'bb')
    True
    >>> is_anagram('abcd', 'dcb')
    False
    """
    return sorted(a) == sorted(b)


def last_word(text):
    """The last word.

    >>> last_word('a cat')
    'cat'
    >>> last_word('dog')
    'dog'
    >>> last_word('one two')
    'two'
    >>> last_word('ab cd ef')
    'ef'
    >>> last_word('b c')
    'c'
    >>> last_word('the bad cab')
    'cab'
    """
    return text.split()[-1]


def middle_letter(word):
    """The letter in the middle.

    >>> middle_letter('abc')
    'b'
    >>> middle_letter('d')
    'd'
    >>> middle_letter('cabin')
    'b'
    >>> middle_letter('bad')
    'a'
    >>> middle_letter('abcd')
    'c'
    >>> middle_letter('ab')
    'b'
    """
    return word[len(word) // 2]


def hamming(a, b):
    """In how many places two words differ.

    >>> hamming('abc', 'abd')
    1
    >>> hamming('aa', 'bb')
    2
    >>> hamming('cab', 'cab')
    0
    >>> hamming('dad', 'bad')
    1
    >>> hamming('abcd', 'dcba')
    4
    >>> hamming('a', 'b')
    1
    """
    count = 0
    for x, y in zip(a, b):
        if x != y:
            count = count + 1
    return count


def drop_first_last(text):
    """A text without its first and last letter.

    >>> drop_first_last('abcd')
    'bc'
    >>> drop_first_last('dad')
    'a'
    >>> drop_first_last('ab')
    ''
    >>> drop_first_last('cabin')
    'abi'
    >>> drop_first_last('abc')
    'b'
    >>> drop_first_last('badge')
    'adg'
    """
    return text[1:-1]


def shorten(word, limit):
    """Cut a long word and add dots.

    >>> shorten('banana', 3)
    'ban..'
    >>> shorten('cat', 5)
    'cat'
    >>> shorten('dogs', 2)
    'do..'
    >>> shorten('ab', 2)
    'ab'
    >>> shorten('cabbage', 4)
    'cabb..'
    >>> shorten('bad', 1)
    'b..'
    """
    if len(word) <= limit:
        return word
    return word[:limit] + ".."


def plural(count, word):
    """A number and a word, with s if more than one.

    >>> plural(1, 'cat')
    '1 cat'
    >>> plural(2, 'dog')
    '2 dogs'
    >>> plural(5, 'car')
    '5 cars'
    >>> plural(0, 'cab')
    '0 cabs'
    >>> plural(1, 'bag')
    '1 bag'
    >>> plural(3, 'ab')
    '3 abs'
    """
    if count == 1:
        return "1 " + word
    return str(count) + " " + word + "s"


def starts_with(text, start):
    """Whether a text begins with another.

    >>> starts_with('abc', 'ab')
    True
    >>> starts_with('dog', 'do')
    True
    >>> starts_with('cat', 'at')
    False
    >>> starts_with('bad', 'b')
    True
    >>> starts_with('cab', 'cb')
    False
    >>> starts_with('ad', 'ad')
    True
    """
    return text[: len(start)] == start


def words_reversed(text):
    """The words in reverse order.

    >>> words_reversed('a b')
    'b a'
    >>> words_reversed('cat dog')
    'dog cat'
    >>> words_reversed('one')
    'one'
    >>> words_reversed('a b c')
    'c b a'
    >>> words_reversed('bad cab')
    'cab bad'
    >>> words_reversed('d c b')
    'b c d'
    """
    return " ".join(text.split()[::-1])


def replace_last(text, letter):
    """Change the last letter.

    >>> replace_last('cat', 'b')
    'cab'
    >>> replace_last('dad', 'y')
    'day'
    >>> replace_last('a', 'c')
    'c'
    >>> replace_last('bad', 'g')
    'bag'
    >>> replace_last('cab', 'd')
    'cad'
    >>> replace_last('bb', 'a')
    'ba'
    """
    return text[:-1] + letter


def ends_alike(a, b):
    """Whether two words end with the same letter.

    >>> ends_alike('cat', 'bat')
    True
    >>> ends_alike('dog', 'cab')
    False
    >>> ends_alike('a', 'da')
    True
    >>> ends_alike('bad', 'dad')
    True
    >>> ends_alike('abc', 'cba')
    False
    >>> ends_alike('bc', 'ac')
    True
    """
    return a[-1] == b[-1]
