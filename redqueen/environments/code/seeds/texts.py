"""Seed functions for chat models: texts."""


def count_vowels(text):
    """Counts each vowel of a text, in either case.

    >>> count_vowels('Banana')
    {'a': 3}
    >>> count_vowels('Queue')
    {'u': 2, 'e': 2}
    >>> count_vowels('')
    {}
    >>> count_vowels('rhythm')
    {}
    >>> count_vowels('AEIOU aeiou')
    {'a': 2, 'e': 2, 'i': 2, 'o': 2, 'u': 2}
    >>> count_vowels('Education')
    {'e': 1, 'u': 1, 'a': 1, 'i': 1, 'o': 1}
    >>> count_vowels('noon')
    {'o': 2}
    >>> count_vowels('Ice tea')
    {'i': 1, 'e': 2, 'a': 1}
    >>> count_vowels('x')
    {}
    >>> count_vowels('bee')
    {'e': 2}
    """
    counts = {}
    for char in text.lower():
        if char in "aeiou":
            counts[char] = counts.get(char, 0) + 1
    return counts


def shorten(text, limit):
    """Cuts a text at the last word that fits into a limit and adds three dots.

    >>> shorten('the quick brown fox', 12)
    'the quick...'
    >>> shorten('short', 10)
    'short'
    >>> shorten('one two three four', 9)
    'one...'
    >>> shorten('abcdefghij', 5)
    '...'
    >>> shorten('a b c d e f', 7)
    'a b...'
    >>> shorten('', 3)
    ''
    >>> shorten('hello big world', 15)
    'hello big world'
    >>> shorten('hello big world', 14)
    'hello big...'
    >>> shorten('to be or not', 8)
    'to be...'
    >>> shorten('wide open spaces', 13)
    'wide open...'
    """
    if len(text) <= limit:
        return text
    words = text.split()
    kept = ""
    for word in words:
        candidate = (kept + " " + word).strip()
        if len(candidate) > limit - 3:
            break
        kept = candidate
    return kept + "..."


def caesar(text, shift):
    """Moves the small letters of a text along the alphabet, round its end.

    >>> caesar('abc', 2)
    'cde'
    >>> caesar('xyz', 3)
    'abc'
    >>> caesar('Hello!', 1)
    'Hfmmp!'
    >>> caesar('dog', 0)
    'dog'
    >>> caesar('secret', 13)
    'frperg'
    >>> caesar('zebra', -1)
    'ydaqz'
    >>> caesar('', 5)
    ''
    >>> caesar('a-b-c', 27)
    'b-c-d'
    >>> caesar('Mix3d', 4)
    'Mmb3h'
    >>> caesar('wow', 10)
    'gyg'
    """
    result = []
    for char in text:
        if "a" <= char <= "z":
            moved = (ord(char) - ord("a") + shift) % 26
            result.append(chr(moved + ord("a")))
        else:
            result.append(char)
    return "".join(result)


def acronym(phrase):
    """Makes an acronym of the words of a phrase, small words left out.

    >>> acronym('United States of America')
    'U.S.A.'
    >>> acronym('the end')
    'E.'
    >>> acronym('laugh out loud')
    'L.O.L.'
    >>> acronym('of the and')
    ''
    >>> acronym('World Health Organization')
    'W.H.O.'
    >>> acronym('hole in one')
    'H.I.O.'
    >>> acronym('')
    ''
    >>> acronym('bread and butter')
    'B.B.'
    >>> acronym('Lord of the Rings')
    'L.R.'
    >>> acronym('self')
    'S.'
    """
    small = {"of", "the", "and", "for"}
    letters = [word[0].upper() for word in phrase.split() if word.lower() not in small]
    return ".".join(letters) + ("." if letters else "")


def compress(text):
    """Replaces runs of a letter by the letter and the length of the run, if it is more than one.

    >>> compress('aaabcc')
    'a3bc2'
    >>> compress('')
    ''
    >>> compress('abc')
    'abc'
    >>> compress('zzzz')
    'z4'
    >>> compress('aabbaa')
    'a2b2a2'
    >>> compress('x')
    'x'
    >>> compress('mississippi')
    'mis2is2ip2i'
    >>> compress('1112')
    '132'
    >>> compress('hhhheeey')
    'h4e3y'
    >>> compress('oo')
    'o2'
    """
    if not text:
        return ""
    parts = []
    current, length = text[0], 1
    for char in text[1:]:
        if char == current:
            length += 1
        else:
            parts.append(current + (str(length) if length > 1 else ""))
            current, length = char, 1
    parts.append(current + (str(length) if length > 1 else ""))
    return "".join(parts)


def title_case(text):
    """Gives every word a capital but short ones after the first.

    >>> title_case('the lord of the rings')
    'The Lord of the Rings'
    >>> title_case('GONE WITH THE WIND')
    'Gone With the Wind'
    >>> title_case('a')
    'A'
    >>> title_case('war and peace')
    'War and Peace'
    >>> title_case('on the road')
    'On the Road'
    >>> title_case('of mice and men')
    'Of Mice and men'
    >>> title_case('great expectations')
    'Great Expectations'
    >>> title_case('up')
    'Up'
    >>> title_case('the old man')
    'The old man'
    >>> title_case('brave new world')
    'Brave new World'
    """
    words = text.lower().split(" ")
    for i, word in enumerate(words):
        if i == 0 or len(word) > 3:
            words[i] = word.capitalize()
    return " ".join(words)


def find_all(text, part):
    """Finds all places of a part in a text, overlaps included.

    >>> find_all('banana', 'an')
    [1, 3]
    >>> find_all('aaaa', 'aa')
    [0, 1, 2]
    >>> find_all('hello', 'z')
    []
    >>> find_all('abcabc', 'c')
    [2, 5]
    >>> find_all('x', 'x')
    [0]
    >>> find_all('noonoon', 'noon')
    [0, 3]
    >>> find_all('tick tock', 't')
    [0, 5]
    >>> find_all('abab', 'ba')
    [1]
    >>> find_all('', 'a')
    []
    >>> find_all('mama', 'ma')
    [0, 2]
    """
    places = []
    start = text.find(part)
    while start != -1:
        places.append(start)
        start = text.find(part, start + 1)
    return places


def is_balanced(text):
    """Tells whether brackets are closed in the right order.

    >>> is_balanced('(a[b]{c})')
    True
    >>> is_balanced('([)]')
    False
    >>> is_balanced('((')
    False
    >>> is_balanced('')
    True
    >>> is_balanced('no brackets')
    True
    >>> is_balanced('}{')
    False
    >>> is_balanced('[()]')
    True
    >>> is_balanced('{[(')
    False
    >>> is_balanced('a)b')
    False
    >>> is_balanced('()[]{}')
    True
    """
    pairs = {")": "(", "]": "[", "}": "{"}
    stack = []
    for char in text:
        if char in "([{":
            stack.append(char)
        elif char in pairs:
            if not stack or stack.pop() != pairs[char]:
                return False
    return not stack


def swap_halves(text):
    """Swaps the halves of a text; a letter in the middle stays.

    >>> swap_halves('abcdef')
    'defabc'
    >>> swap_halves('abcde')
    'decab'
    >>> swap_halves('')
    ''
    >>> swap_halves('x')
    'x'
    >>> swap_halves('hello world')
    'world hello'
    >>> swap_halves('ab')
    'ba'
    >>> swap_halves('123')
    '321'
    >>> swap_halves('radar')
    'ardra'
    >>> swap_halves('python')
    'honpyt'
    >>> swap_halves('swap me')
    ' mepswa'
    """
    half = len(text) // 2
    middle = text[half] if len(text) % 2 else ""
    return text[len(text) - half :] + middle + text[:half]
