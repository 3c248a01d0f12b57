"""Seed functions for chat models: parsing."""


def parse_query(text):
    """Reads key=value pairs that are joined by &; a key without a value gets True.

    >>> parse_query('a=1&b=two')
    {'a': '1', 'b': 'two'}
    >>> parse_query('')
    {}
    >>> parse_query('debug')
    {'debug': True}
    >>> parse_query('x=&y')
    {'x': '', 'y': True}
    >>> parse_query('k=v=w')
    {'k': 'v=w'}
    >>> parse_query('a=1&a=2')
    {'a': '2'}
    >>> parse_query('&&q=0')
    {'q': '0'}
    >>> parse_query('name=ann&admin')
    {'name': 'ann', 'admin': True}
    >>> parse_query('=5')
    {'': '5'}
    >>> parse_query('page=3&sort=up&all')
    {'page': '3', 'sort': 'up', 'all': True}
    """
    table = {}
    for part in text.split("&"):
        if not part:
            continue
        key, mark, value = part.partition("=")
        table[key] = value if mark else True
    return table


def read_ranges(text):
    """Reads numbers and ranges such as 1-3, with commas between them.

    >>> read_ranges('1-3,7')
    [1, 2, 3, 7]
    >>> read_ranges('')
    []
    >>> read_ranges('5')
    [5]
    >>> read_ranges('2-2')
    [2]
    >>> read_ranges('4-1')
    []
    >>> read_ranges('9,8,7')
    [9, 8, 7]
    >>> read_ranges('0-2,0-1')
    [0, 1, 2, 0, 1]
    >>> read_ranges('10-12,3')
    [10, 11, 12, 3]
    >>> read_ranges('6,,6')
    [6, 6]
    >>> read_ranges('1,2-4,5')
    [1, 2, 3, 4, 5]
    """
    numbers = []
    for part in text.split(","):
        if "-" in part:
            low, high = part.split("-")
            numbers.extend(range(int(low), int(high) + 1))
        elif part:
            numbers.append(int(part))
    return numbers


def parse_duration(text):
    """Turns a duration such as 1h30m into seconds.

    >>> parse_duration('1h30m')
    5400
    >>> parse_duration('45s')
    45
    >>> parse_duration('')
    0
    >>> parse_duration('2m5s')
    125
    >>> parse_duration('10')
    0
    >>> parse_duration('h5m')
    300
    >>> parse_duration('1h1m1s')
    3661
    >>> parse_duration('90m')
    5400
    >>> parse_duration('3h 20s')
    10820
    >>> parse_duration('12x7s')
    127
    """
    units = {"h": 3600, "m": 60, "s": 1}
    total, number = 0, ""
    for char in text:
        if char.isdigit():
            number += char
        elif char in units and number:
            total += int(number) * units[char]
            number = ""
    return total


def csv_column(text, name):
    """Returns one column of a small table in lines with commas, by the name in its first line.

    >>> csv_column('a,b\\n1,2\\n3,4', 'b')
    ['2', '4']
    >>> csv_column('x\\n', 'x')
    []
    >>> csv_column('id,name\\n7,ann\\n8,bob', 'name')
    ['ann', 'bob']
    >>> csv_column('k\\nv', 'k')
    ['v']
    >>> csv_column('p,q,r\\n1,2,3', 'p')
    ['1']
    >>> csv_column('a\\n\\n5', 'a')
    ['5']
    >>> csv_column('m,n', 'n')
    []
    >>> csv_column('day,temp\\nmon,3\\ntue,5\\nwed,4', 'temp')
    ['3', '5', '4']
    >>> csv_column('z,z\\n0,1', 'z')
    ['0']
    """
    lines = text.split("\n")
    header = lines[0].split(",")
    if name not in header:
        return None
    place = header.index(name)
    return [line.split(",")[place] for line in lines[1:] if line]


def version_key(version):
    """Compares versions: turns one into a list of numbers without zeros at its end.

    >>> version_key('1.2.0')
    [1, 2]
    >>> version_key('0.0')
    []
    >>> version_key('3')
    [3]
    >>> version_key('10.0.1')
    [10, 0, 1]
    >>> version_key('2.00.0')
    [2]
    >>> version_key('1.10')
    [1, 10]
    >>> version_key('0.9')
    [0, 9]
    >>> version_key('4.0.0.4')
    [4, 0, 0, 4]
    >>> version_key('7.7.7')
    [7, 7, 7]
    >>> version_key('0')
    []
    """
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
