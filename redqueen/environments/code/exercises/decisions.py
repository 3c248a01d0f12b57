"""Decisions: rules of everyday life as if and else."""


def ticket_price(age):
    """Children are free, youths and the old pay half of ten.

    >>> ticket_price(5)
    0
    >>> ticket_price(12)
    5
    >>> ticket_price(30)
    10
    >>> ticket_price(70)
    5
    >>> ticket_price(18)
    10
    >>> ticket_price(3)
    0
    """
    if age < 6:
        return 0
    if age < 18 or age > 65:
        return 5
    return 10


def grade(points):
    """A mark for the points.

    >>> grade(9)
    'a'
    >>> grade(3)
    'c'
    >>> grade(6)
    'b'
    >>> grade(8)
    'a'
    >>> grade(5)
    'b'
    >>> grade(7)
    'b'
    """
    if points > 7:
        return "a"
    elif points > 4:
        return "b"
    else:
        return "c"


def traffic_light(color):
    """What to do at a traffic light.

    >>> traffic_light('red')
    'stop'
    >>> traffic_light('green')
    'go'
    >>> traffic_light('amber')
    'wait'
    >>> traffic_light('blue')
    'wait'
    >>> traffic_light('GREEN')
    'wait'
    >>> traffic_light('dark')
    'wait'
    """
    if color == "red":
        return "stop"
    if color == "green":
        return "go"
    return "wait"


def fizz(n):
    """Fizz for threes, buzz for fives, both for both.

    >>> fizz(3)
    'fizz'
    >>> fizz(5)
    'buzz'
    >>> fizz(15)
    'fizzbuzz'
    >>> fizz(7)
    '7'
    >>> fizz(9)
    'fizz'
    >>> fizz(20)
    'buzz'
    """
    word = ""
    if n % 3 == 0:
        word = word + "fizz"
    if n % 5 == 0:
        word = word + "buzz"
    return word or str(n)


def compare(a, b):
    """Less, same or more.

    >>> compare(3, 8)
    'less'
    >>> compare(9, 2)
    'more'
    >>> compare(5, 5)
    'same'
    >>> compare(0, 1)
    'less'
    >>> compare(7, 4)
    'more'
    >>> compare(6, 6)
    'same'
    """
    if a < b:
        return "less"
    if a == b:
        return "same"
    return "more"


def rock_paper_scissors(ours, theirs):
    """Whether we win.

    >>> rock_paper_scissors('rock', 'paper')
    False
    >>> rock_paper_scissors('paper', 'rock')
    True
    >>> rock_paper_scissors('rock', 'rock')
    False
    >>> rock_paper_scissors('scissors', 'paper')
    True
    >>> rock_paper_scissors('paper', 'scissors')
    False
    >>> rock_paper_scissors('rock', 'scissors')
    True
    """
    beats = {"rock": "scissors", "scissors": "paper", "paper": "rock"}
    return beats[ours] == theirs


def season(month):
    """The season of a month.

    >>> season(1)
    'winter'
    >>> season(4)
    'spring'
    >>> season(7)
    'summer'
    >>> season(10)
    'autumn'
    >>> season(12)
    'winter'
    >>> season(3)
    'spring'
    """
    if month in (12, 1, 2):
        return "winter"
    if month < 6:
        return "spring"
    if month < 9:
        return "summer"
    return "autumn"


def days_in_month(month):
    """How many days a month has.

    >>> days_in_month(1)
    31
    >>> days_in_month(2)
    28
    >>> days_in_month(4)
    30
    >>> days_in_month(7)
    31
    >>> days_in_month(9)
    30
    >>> days_in_month(12)
    31
    """
    if month == 2:
        return 28
    if month in [4, 6, 9, 11]:
        return 30
    return 31


def shipping(weight, express):
    """Three for the parcel, one for each kilo, double for express.

    >>> shipping(2, False)
    5
    >>> shipping(5, True)
    16
    >>> shipping(0, False)
    3
    >>> shipping(1, True)
    8
    >>> shipping(4, False)
    7
    >>> shipping(3, True)
    12
    """
    cost = 3 + weight
    if express:
        cost *= 2
    return cost


def triangle_kind(a, b, c):
    """How many sides of a triangle are equal.

    >>> triangle_kind(3, 3, 3)
    3
    >>> triangle_kind(3, 4, 5)
    0
    >>> triangle_kind(2, 2, 3)
    2
    >>> triangle_kind(5, 4, 5)
    2
    >>> triangle_kind(6, 6, 6)
    3
    >>> triangle_kind(2, 3, 4)
    0
    """
    if a == b == c:
        return 3
    if a == b or b == c or a == c:
        return 2
    return 0


def quadrant(x, y):
    """Which quarter of the plane a point is in.

    >>> quadrant(1, 2)
    1
    >>> quadrant(-3, 4)
    2
    >>> quadrant(-5, -1)
    3
    >>> quadrant(6, -2)
    4
    >>> quadrant(7, 7)
    1
    >>> quadrant(-1, 9)
    2
    """
    if x > 0:
        return 1 if y > 0 else 4
    return 2 if y > 0 else 3


def is_leap(year):
    """Whether a year has a leap day.

    >>> is_leap(2024)
    True
    >>> is_leap(2023)
    False
    >>> is_leap(1900)
    False
    >>> is_leap(2000)
    True
    >>> is_leap(2016)
    True
    >>> is_leap(2100)
    False
    """
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def fine(speed, limit):
    """Two for each unit too fast, at most twenty.

    >>> fine(5, 3)
    4
    >>> fine(4, 6)
    0
    >>> fine(9, 2)
    14
    >>> fine(20, 5)
    20
    >>> fine(7, 7)
    0
    >>> fine(30, 9)
    20
    """
    if speed <= limit:
        return 0
    return min(20, 2 * (speed - limit))


def discount(price, member):
    """Members pay two less from ten on.

    >>> discount(12, True)
    10
    >>> discount(8, True)
    8
    >>> discount(15, False)
    15
    >>> discount(10, True)
    8
    >>> discount(9, False)
    9
    >>> discount(20, True)
    18
    """
    if member and price >= 10:
        return price - 2
    return price


def is_between(n, low, high):
    """Whether a number is between two others.

    >>> is_between(5, 1, 9)
    True
    >>> is_between(0, 2, 6)
    False
    >>> is_between(2, 2, 6)
    False
    >>> is_between(7, 3, 5)
    False
    >>> is_between(4, 3, 8)
    True
    >>> is_between(9, 0, 3)
    False
    """
    return low < n and n < high


def exactly_one(a, b, c):
    """Whether just one of three is true.

    >>> exactly_one(True, False, False)
    True
    >>> exactly_one(True, True, False)
    False
    >>> exactly_one(False, False, False)
    False
    >>> exactly_one(False, True, False)
    True
    >>> exactly_one(True, True, True)
    False
    >>> exactly_one(False, False, True)
    True
    """
    return [a, b, c].count(True) == 1


def longer(a, b):
    """The longer of two words.

    >>> longer('cat', 'dogs')
    'dogs'
    >>> longer('ab', 'a')
    'ab'
    >>> longer('bad', 'cab')
    'bad'
    >>> longer('d', 'dd')
    'dd'
    >>> longer('abcd', 'abc')
    'abcd'
    >>> longer('', 'b')
    'b'
    """
    if len(b) > len(a):
        return b
    return a


def elevator(floor, target):
    """Which way to go.

    >>> elevator(1, 5)
    'up'
    >>> elevator(7, 2)
    'down'
    >>> elevator(3, 3)
    'open'
    >>> elevator(0, 9)
    'up'
    >>> elevator(6, 4)
    'down'
    >>> elevator(8, 8)
    'open'
    """
    if target == floor:
        return "open"
    return "up" if target > floor else "down"


def greeting(hour):
    """What to say at an hour of the day.

    >>> greeting(7)
    'morning'
    >>> greeting(12)
    'day'
    >>> greeting(20)
    'evening'
    >>> greeting(3)
    'morning'
    >>> greeting(17)
    'day'
    >>> greeting(23)
    'evening'
    """
    if hour < 12:
        return "morning"
    if hour < 18:
        return "day"
    return "evening"


def coins(amount):
    """How many coins of five, two and one.

    >>> coins(8)
    [1, 1, 1]
    >>> coins(3)
    [0, 1, 1]
    >>> coins(10)
    [2, 0, 0]
    >>> coins(4)
    [0, 2, 0]
    >>> coins(17)
    [3, 1, 0]
    >>> coins(1)
    [0, 0, 1]
    """
    fives = amount // 5
    amount = amount % 5
    twos = amount // 2
    ones = amount % 2
    return [fives, twos, ones]


def next_weekday(day):
    """The day after, from 1 to 7.

    >>> next_weekday(1)
    2
    >>> next_weekday(7)
    1
    >>> next_weekday(3)
    4
    >>> next_weekday(6)
    7
    >>> next_weekday(5)
    6
    >>> next_weekday(2)
    3
    """
    if day == 7:
        return 1
    return day + 1
