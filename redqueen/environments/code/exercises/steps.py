"""First steps: a few plain statements, one after the other."""


def next_even(n):
    """Mul, add.

    >>> next_even(3)
    8
    >>> next_even(0)
    2
    >>> next_even(5)
    12
    >>> next_even(8)
    18
    >>> next_even(1)
    4
    >>> next_even(6)
    14
    """
    n = n * 2
    n = n + 2
    return n


def change(paid, price):
    """What comes back from a payment.

    >>> change(9, 4)
    5
    >>> change(5, 5)
    0
    >>> change(8, 3)
    5
    >>> change(7, 1)
    6
    >>> change(10, 6)
    4
    >>> change(6, 4)
    2
    """
    back = paid
    back = back - price
    return back


def bigger_sum(a, b):
    """Max, min, mul, add.

    >>> bigger_sum(3, 8)
    19
    >>> bigger_sum(9, 4)
    22
    >>> bigger_sum(5, 5)
    15
    >>> bigger_sum(0, 7)
    14
    >>> bigger_sum(12, 2)
    26
    >>> bigger_sum(1, 6)
    13
    """
    large = max(a, b)
    small = min(a, b)
    large = large * 2
    large = large + small
    return large


def gap(a, b):
    """Max, min, sub.

    >>> gap(3, 8)
    5
    >>> gap(9, 4)
    5
    >>> gap(5, 5)
    0
    >>> gap(0, 7)
    7
    >>> gap(12, 2)
    10
    >>> gap(1, 6)
    5
    """
    large = max(a, b)
    small = min(a, b)
    large = large - small
    return large


def ends(items):
    """The first and the last item.

    >>> ends([1, 2, 3])
    [1, 3]
    >>> ends([4, 9])
    [4, 9]
    >>> ends([5, 0, 7, 8])
    [5, 8]
    >>> ends([6, 6, 2])
    [6, 2]
    >>> ends([2, 3, 1])
    [2, 1]
    >>> ends([9, 4, 4, 0])
    [9, 0]
    """
    first = items[0]
    last = items[-1]
    items = [first, last]
    return items


def ends_sum(items):
    """Item, item, add.

    >>> ends_sum([1, 2, 3])
    4
    >>> ends_sum([4, 9])
    13
    >>> ends_sum([5, 0, 7, 8])
    13
    >>> ends_sum([6, 6, 2])
    8
    >>> ends_sum([2, 3, 1])
    3
    >>> ends_sum([9, 4, 4, 0])
    9
    """
    first = items[0]
    last = items[-1]
    first = first + last
    return first


def top(numbers):
    """Sort, item.

    >>> top([3, 8, 5])
    8
    >>> top([9, 2])
    9
    >>> top([4, 1, 6])
    6
    >>> top([1, 7, 7])
    7
    >>> top([0, 2, 3])
    3
    >>> top([5, 4, 9, 1])
    9
    """
    numbers = sorted(numbers)
    last = numbers[-1]
    return last


def podium(scores):
    """Sort, reverse, head.

    >>> podium([3, 8, 5])
    [8, 5]
    >>> podium([9, 2])
    [9, 2]
    >>> podium([4, 1, 6])
    [6, 4]
    >>> podium([1, 7, 7])
    [7, 7]
    >>> podium([0, 2, 3])
    [3, 2]
    >>> podium([5, 4, 9, 1])
    [9, 5]
    """
    scores = sorted(scores)
    scores = scores[::-1]
    best = scores[:2]
    return best


def descending(numbers):
    """Sort, reverse.

    >>> descending([3, 8, 5])
    [8, 5, 3]
    >>> descending([9, 2])
    [9, 2]
    >>> descending([4, 1, 6])
    [6, 4, 1]
    >>> descending([1, 7, 7])
    [7, 7, 1]
    >>> descending([0, 2, 3])
    [3, 2, 0]
    >>> descending([5, 4, 9, 1])
    [9, 5, 4, 1]
    """
    ordered = sorted(numbers)
    ordered = ordered[::-1]
    return ordered


def later_items(queue, new):
    """Tail, append.

    >>> later_items([1, 2, 3], 4)
    [2, 3, 4]
    >>> later_items([4, 9], 0)
    [9, 0]
    >>> later_items([5, 0, 7], 8)
    [0, 7, 8]
    >>> later_items([6, 2], 6)
    [2, 6]
    >>> later_items([2, 3, 1], 9)
    [3, 1, 9]
    >>> later_items([9], 4)
    [4]
    """
    waiting = queue[1:]
    waiting = waiting + [new]
    return waiting


def frame(items, edge):
    """Prepend, append.

    >>> frame([1, 2], 4)
    [4, 1, 2, 4]
    >>> frame([9], 0)
    [0, 9, 0]
    >>> frame([5, 0], 8)
    [8, 5, 0, 8]
    >>> frame([6, 2], 6)
    [6, 6, 2, 6]
    >>> frame([], 9)
    [9, 9]
    >>> frame([3, 3], 1)
    [1, 3, 3, 1]
    """
    items = [edge] + items
    items = items + [edge]
    return items


def rest_sum(numbers):
    """Tail, sum.

    >>> rest_sum([1, 2, 3])
    5
    >>> rest_sum([4, 9])
    9
    >>> rest_sum([5, 0, 7, 8])
    15
    >>> rest_sum([6, 6, 2])
    8
    >>> rest_sum([2, 3, 1])
    4
    >>> rest_sum([9, 4, 4, 0])
    8
    """
    numbers = numbers[1:]
    total = sum(numbers)
    return total


def sum_and_length(numbers):
    """Sum, len, add.

    >>> sum_and_length([1, 2, 3])
    9
    >>> sum_and_length([4, 9])
    15
    >>> sum_and_length([5, 0, 7])
    15
    >>> sum_and_length([6, 6, 2])
    17
    >>> sum_and_length([2])
    3
    >>> sum_and_length([1, 4, 4, 0])
    13
    """
    total = sum(numbers)
    size = len(numbers)
    total = total + size
    return total


def report(numbers):
    """The sum, the smallest and the largest.

    >>> report([1, 2, 3])
    [6, 1, 3]
    >>> report([4, 9])
    [13, 4, 9]
    >>> report([5, 0, 7])
    [12, 0, 7]
    >>> report([6, 6, 2])
    [14, 2, 6]
    >>> report([2, 8])
    [10, 2, 8]
    >>> report([1, 4, 4, 0])
    [9, 0, 4]
    """
    total = sum(numbers)
    low = min(numbers)
    high = max(numbers)
    result = [total, low, high]
    return result


def plus_one(numbers):
    """Add one to every number.

    >>> plus_one([1, 2, 3])
    [2, 3, 4]
    >>> plus_one([4, 9])
    [5, 10]
    >>> plus_one([5, 0, 7])
    [6, 1, 8]
    >>> plus_one([6, 6, 2])
    [7, 7, 3]
    >>> plus_one([8])
    [9]
    >>> plus_one([1, 4, 4, 0])
    [2, 5, 5, 1]
    """
    result = []
    for n in numbers:
        result = result + [n + 1]
    return result


def one_more(numbers):
    """One more than the sum, with a loop.

    >>> one_more([1, 2, 3])
    7
    >>> one_more([4, 9])
    14
    >>> one_more([5, 0, 7])
    13
    >>> one_more([6, 6, 2])
    15
    >>> one_more([8])
    9
    >>> one_more([1, 4, 4, 0])
    10
    """
    total = 0
    for n in numbers:
        total = total + n
    total = total + 1
    return total


def add_large(numbers):
    """Twice the sum of the numbers above three.

    >>> add_large([1, 2, 3])
    0
    >>> add_large([4, 9])
    26
    >>> add_large([5, 0, 7])
    24
    >>> add_large([6, 6, 2])
    24
    >>> add_large([8])
    16
    >>> add_large([1, 4, 4, 0])
    16
    """
    total = 0
    for n in numbers:
        if n > 3:
            total = total + n
    total = total * 2
    return total


def unfold(items):
    """A list backwards and then as it was.

    >>> unfold([1, 2, 3])
    [3, 2, 1, 1, 2, 3]
    >>> unfold([4, 9])
    [9, 4, 4, 9]
    >>> unfold([5, 0, 7])
    [7, 0, 5, 5, 0, 7]
    >>> unfold([6, 6, 2])
    [2, 6, 6, 6, 6, 2]
    >>> unfold([8])
    [8, 8]
    >>> unfold([1, 4, 4, 0])
    [0, 4, 4, 1, 1, 4, 4, 0]
    """
    result = []
    for item in items:
        result = [item] + result
    items = result + items
    return items


def length_of(items):
    """Count the items with a loop.

    >>> length_of([1, 2, 3])
    3
    >>> length_of([4, 9])
    2
    >>> length_of([])
    0
    >>> length_of([6, 6, 2])
    3
    >>> length_of([8])
    1
    >>> length_of([1, 4, 4, 0])
    4
    """
    count = 0
    for item in items:
        count = count + 1
    return count


def start_at(numbers, start):
    """A sum that begins with a number.

    >>> start_at([1, 2], 3)
    6
    >>> start_at([4], 9)
    13
    >>> start_at([5, 0], 1)
    6
    >>> start_at([6, 2], 2)
    10
    >>> start_at([], 8)
    8
    >>> start_at([1, 1, 4], 5)
    11
    """
    total = start
    for n in numbers:
        total = total + n
    return total


def hops(distance):
    """How many hops of three it takes.

    >>> hops(7)
    3
    >>> hops(3)
    1
    >>> hops(10)
    4
    >>> hops(1)
    1
    >>> hops(5)
    2
    >>> hops(12)
    4
    """
    count = 0
    while distance > 0:
        distance = distance - 3
        count = count + 1
    return count


def left_over(n):
    """Take away two as long as more than two are left.

    >>> left_over(7)
    1
    >>> left_over(4)
    2
    >>> left_over(9)
    1
    >>> left_over(2)
    2
    >>> left_over(5)
    1
    >>> left_over(8)
    2
    """
    while n > 2:
        n = n - 2
    return n


def at_most_five(n):
    """A number, but never more than five.

    >>> at_most_five(7)
    5
    >>> at_most_five(3)
    3
    >>> at_most_five(5)
    5
    >>> at_most_five(9)
    5
    >>> at_most_five(0)
    0
    >>> at_most_five(6)
    5
    """
    if n > 5:
        n = 5
    return n


def tip(bill):
    """Two for a bill above eight, else one.

    >>> tip(9)
    11
    >>> tip(4)
    5
    >>> tip(8)
    9
    >>> tip(12)
    14
    >>> tip(3)
    4
    >>> tip(15)
    17
    """
    if bill > 8:
        extra = 2
    else:
        extra = 1
    result = bill + extra
    return result


def warm(degrees):
    """Whether to open the window.

    >>> warm(9)
    'open'
    >>> warm(4)
    'shut'
    >>> warm(8)
    'shut'
    >>> warm(12)
    'open'
    >>> warm(3)
    'shut'
    >>> warm(15)
    'open'
    """
    if degrees > 8:
        window = "open"
    else:
        window = "shut"
    return window


def smaller_first(a, b):
    """Two numbers in order.

    >>> smaller_first(3, 8)
    [3, 8]
    >>> smaller_first(9, 4)
    [4, 9]
    >>> smaller_first(5, 5)
    [5, 5]
    >>> smaller_first(0, 7)
    [0, 7]
    >>> smaller_first(12, 2)
    [2, 12]
    >>> smaller_first(1, 6)
    [1, 6]
    """
    if a < b:
        return [a, b]
    else:
        return [b, a]


def full_name(first, last):
    """A name and its end in capitals.

    >>> full_name('ab', 'cd')
    'abCD'
    >>> full_name('a', 'b')
    'aB'
    >>> full_name('dad', 'c')
    'dadC'
    >>> full_name('bc', 'ad')
    'bcAD'
    >>> full_name('c', 'dab')
    'cDAB'
    >>> full_name('bb', 'a')
    'bbA'
    """
    last = last.upper()
    name = first + last
    return name


def shout(word):
    """Upper, repeat.

    >>> shout('ab')
    'ABAB'
    >>> shout('c')
    'CC'
    >>> shout('dad')
    'DADDAD'
    >>> shout('bc')
    'BCBC'
    >>> shout('dab')
    'DABDAB'
    >>> shout('b')
    'BB'
    """
    word = word.upper()
    word = word * 2
    return word


def first_letters(a, b):
    """Char, char, concat.

    >>> first_letters('ab', 'cd')
    'ac'
    >>> first_letters('a', 'b')
    'ab'
    >>> first_letters('dad', 'c')
    'dc'
    >>> first_letters('bc', 'ad')
    'ba'
    >>> first_letters('c', 'dab')
    'cd'
    >>> first_letters('bb', 'a')
    'ba'
    """
    a = a[0]
    b = b[0]
    both = a + b
    return both


def to_the_end(word):
    """Move the first letter to the end.

    >>> to_the_end('ab')
    'ba'
    >>> to_the_end('c')
    'c'
    >>> to_the_end('dad')
    'add'
    >>> to_the_end('bcd')
    'cdb'
    >>> to_the_end('dab')
    'abd'
    >>> to_the_end('cba')
    'bac'
    """
    first = word[0]
    rest = word[1:]
    rest = rest + first
    return rest


def there_and_back(word):
    """Reverse, upper, concat.

    >>> there_and_back('ab')
    'abBA'
    >>> there_and_back('c')
    'cC'
    >>> there_and_back('dad')
    'dadDAD'
    >>> there_and_back('bc')
    'bcCB'
    >>> there_and_back('da')
    'daAD'
    >>> there_and_back('cba')
    'cbaABC'
    """
    back = word[::-1]
    back = back.upper()
    result = word + back
    return result


def spell_back(word):
    """Spell a word backwards.

    >>> spell_back('ab')
    'ba'
    >>> spell_back('c')
    'c'
    >>> spell_back('dad')
    'dad'
    >>> spell_back('bcd')
    'dcb'
    >>> spell_back('da')
    'ad'
    >>> spell_back('cba')
    'abc'
    """
    result = ""
    for letter in word:
        result = letter + result
    return result


def total_length(a, b):
    """Len, len, add.

    >>> total_length('ab', 'cd')
    4
    >>> total_length('a', 'b')
    2
    >>> total_length('dad', 'c')
    4
    >>> total_length('bc', 'ada')
    5
    >>> total_length('c', 'dab')
    4
    >>> total_length('bb', '')
    2
    """
    left = len(a)
    right = len(b)
    left = left + right
    return left


def apples_and_bees(counts):
    """Get, get, add.

    >>> apples_and_bees({'a': 2, 'b': 3})
    5
    >>> apples_and_bees({'a': 5, 'b': 0})
    5
    >>> apples_and_bees({'a': 1, 'b': 1})
    2
    >>> apples_and_bees({'a': 4, 'b': 9})
    13
    >>> apples_and_bees({'a': 0, 'b': 6})
    6
    >>> apples_and_bees({'a': 7, 'b': 8})
    15
    """
    apples = counts["a"]
    bees = counts["b"]
    apples = apples + bees
    return apples


def eat_one(counts):
    """One a less.

    >>> eat_one({'a': 2, 'b': 3})
    1
    >>> eat_one({'a': 5, 'b': 0})
    4
    >>> eat_one({'a': 1})
    0
    >>> eat_one({'a': 4, 'b': 9})
    3
    >>> eat_one({'b': 6, 'a': 3})
    2
    >>> eat_one({'a': 7})
    6
    """
    apples = counts["a"]
    apples = apples - 1
    return apples


def turn_point(point):
    """Exchange the coordinates and move one right.

    >>> turn_point((1, 2))
    (3, 1)
    >>> turn_point((5, 3))
    (4, 5)
    >>> turn_point((0, 0))
    (1, 0)
    >>> turn_point((7, 9))
    (10, 7)
    >>> turn_point((4, 1))
    (2, 4)
    >>> turn_point((8, 6))
    (7, 8)
    """
    x = point[1]
    y = point[0]
    x = x + 1
    result = (x, y)
    return result


def score(wins, draws):
    """Mul, add.

    >>> score(2, 1)
    7
    >>> score(0, 3)
    3
    >>> score(3, 0)
    9
    >>> score(1, 1)
    4
    >>> score(4, 2)
    14
    >>> score(0, 0)
    0
    """
    points = wins * 3
    points = points + draws
    return points


def age_in(age, years):
    """How old somebody will be, twice as many years from now.

    >>> age_in(5, 1)
    7
    >>> age_in(8, 2)
    12
    >>> age_in(10, 0)
    10
    >>> age_in(3, 4)
    11
    >>> age_in(7, 3)
    13
    >>> age_in(1, 5)
    11
    """
    years = years * 2
    age = age + years
    return age


def bigger_list(a, b):
    """Sum, sum, greater.

    >>> bigger_list([1, 2], [3, 4])
    False
    >>> bigger_list([5], [2])
    True
    >>> bigger_list([0, 1], [1])
    False
    >>> bigger_list([2, 2], [1])
    True
    >>> bigger_list([9], [4, 6])
    False
    >>> bigger_list([3, 3], [5])
    True
    """
    a = sum(a)
    b = sum(b)
    more = a > b
    return more


def swap_first_two(items):
    """Exchange the first two items.

    >>> swap_first_two([1, 2, 3])
    [2, 1, 3]
    >>> swap_first_two([4, 9])
    [9, 4]
    >>> swap_first_two([5, 0, 7, 8])
    [0, 5, 7, 8]
    >>> swap_first_two([6, 6, 2])
    [6, 6, 2]
    >>> swap_first_two([2, 3, 1])
    [3, 2, 1]
    >>> swap_first_two([9, 4, 4, 0])
    [4, 9, 4, 0]
    """
    first = items[0]
    second = items[1]
    rest = items[2:]
    result = [second, first] + rest
    return result


def doubled_largest(numbers):
    """Max, mul, append.

    >>> doubled_largest([1, 2, 3])
    [1, 2, 3, 6]
    >>> doubled_largest([4, 9])
    [4, 9, 18]
    >>> doubled_largest([5, 0, 7])
    [5, 0, 7, 14]
    >>> doubled_largest([6, 2])
    [6, 2, 12]
    >>> doubled_largest([8])
    [8, 16]
    >>> doubled_largest([1, 4, 4, 0])
    [1, 4, 4, 0, 8]
    """
    largest = max(numbers)
    largest = largest * 2
    numbers = numbers + [largest]
    return numbers


def only_large(numbers):
    """Keep, sort.

    >>> only_large([1, 7, 5])
    [5, 7]
    >>> only_large([4, 9])
    [9]
    >>> only_large([5, 0, 7])
    [5, 7]
    >>> only_large([6, 6, 2])
    [6, 6]
    >>> only_large([8])
    [8]
    >>> only_large([1, 4, 4, 0])
    []
    """
    large = [n for n in numbers if n > 4]
    large = sorted(large)
    return large
