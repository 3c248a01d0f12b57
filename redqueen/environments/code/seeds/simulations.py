"""Seed functions for chat models: simulations."""


def bank(balance, orders):
    """Carries out payments that the balance allows; tells the balance and how many were refused.

    >>> bank(100, [-30, 50, -200, -20])
    (100, 1)
    >>> bank(0, [])
    (0, 0)
    >>> bank(10, [-11])
    (10, 1)
    >>> bank(5, [-5, -1, 3])
    (3, 1)
    >>> bank(50, [-25, -25, -25])
    (0, 1)
    >>> bank(0, [10, -10, -10])
    (0, 1)
    >>> bank(20, [1, 2, 3])
    (26, 0)
    >>> bank(7, [-8, -7, -6])
    (0, 2)
    >>> bank(1000, [-999, -2])
    (1, 1)
    >>> bank(3, [-1, -1, -1, -1])
    (0, 1)
    """
    refused = 0
    for amount in orders:
        if balance + amount < 0:
            refused += 1
        else:
            balance += amount
    return balance, refused


def queue_times(customers, tills):
    """Gives the time until all customers were served, each by the till that is free first.

    >>> queue_times([5, 3, 4], 1)
    12
    >>> queue_times([10, 2, 3, 3], 2)
    10
    >>> queue_times([], 3)
    0
    >>> queue_times([2, 2, 2], 3)
    2
    >>> queue_times([7], 2)
    7
    >>> queue_times([1, 2, 3, 4, 5], 2)
    9
    >>> queue_times([9, 1, 1, 1], 2)
    9
    >>> queue_times([4, 4, 4, 4], 4)
    4
    >>> queue_times([6, 5, 4, 3], 3)
    7
    >>> queue_times([1, 1, 1, 1, 1], 2)
    3
    """
    free = [0] * tills
    for minutes in customers:
        free.sort()
        free[0] += minutes
    return max(free)


def rock_paper(first, second):
    """Counts the rounds that each of two players of rock, paper, scissors wins.

    >>> rock_paper('RPS', 'SRP')
    [3, 0]
    >>> rock_paper('RR', 'PP')
    [0, 2]
    >>> rock_paper('', '')
    [0, 0]
    >>> rock_paper('RPS', 'RPS')
    [0, 0]
    >>> rock_paper('SSS', 'RPS')
    [1, 1]
    >>> rock_paper('P', 'S')
    [0, 1]
    >>> rock_paper('RRPP', 'SP')
    [1, 1]
    >>> rock_paper('SPR', 'RSP')
    [0, 3]
    >>> rock_paper('RP', 'SS')
    [1, 1]
    >>> rock_paper('PPP', 'RRS')
    [2, 1]
    """
    beats = {"R": "S", "S": "P", "P": "R"}
    wins = [0, 0]
    for a, b in zip(first, second):
        if beats[a] == b:
            wins[0] += 1
        elif beats[b] == a:
            wins[1] += 1
    return wins


def stack_machine(commands):
    """Runs a small machine with a stack: numbers are pushed, words take the two on top.

    >>> stack_machine('2 3 add')
    [5]
    >>> stack_machine('5 1 2 swap sub')
    [5, 1]
    >>> stack_machine('')
    []
    >>> stack_machine('4 mul')
    [4]
    >>> stack_machine('1 2 3 mul sub')
    [-5]
    >>> stack_machine('-3 4 add')
    [1]
    >>> stack_machine('7 7 swap')
    [7, 7]
    >>> stack_machine('2 3 4 add mul')
    [14]
    >>> stack_machine('10 6 sub 2 mul')
    [8]
    >>> stack_machine('1 add 2')
    [1, 2]
    """
    stack = []
    for command in commands.split():
        if command.lstrip("-").isdigit():
            stack.append(int(command))
        elif len(stack) >= 2:
            right, left = stack.pop(), stack.pop()
            if command == "add":
                stack.append(left + right)
            elif command == "sub":
                stack.append(left - right)
            elif command == "mul":
                stack.append(left * right)
            else:
                stack.extend([right, left])
    return stack


def elevator(start, buttons):
    """Drives an elevator to the nearest pressed floor again and again; the lower of two equal.

    >>> elevator(3, [1, 4, 9])
    ([4, 1, 9], 12)
    >>> elevator(0, [])
    ([], 0)
    >>> elevator(5, [4, 6])
    ([4, 6], 3)
    >>> elevator(2, [2])
    ([2], 0)
    >>> elevator(1, [10, 3, 2, 3])
    ([2, 3, 10], 9)
    >>> elevator(7, [1, 12])
    ([12, 1], 16)
    >>> elevator(4, [8, 0])
    ([0, 8], 12)
    >>> elevator(0, [5, 1, 9])
    ([1, 5, 9], 9)
    >>> elevator(6, [6, 7, 5])
    ([6, 5, 7], 3)
    >>> elevator(10, [2, 11, 8])
    ([11, 8, 2], 10)
    """
    floor, left, distance = start, sorted(set(buttons)), 0
    order = []
    while left:
        target = min(left, key=lambda item: (abs(item - floor), item))
        distance += abs(target - floor)
        floor = target
        left.remove(target)
        order.append(target)
    return order, distance


def battery(level, events):
    """Charges and drains a battery between 0 and 100; counts how often it was empty.

    >>> battery(50, [-60, 20, 90])
    (100, 1)
    >>> battery(10, [])
    (10, 0)
    >>> battery(0, [-5, -5])
    (0, 2)
    >>> battery(95, [10, -100])
    (0, 1)
    >>> battery(30, [-30, 1, -1])
    (0, 2)
    >>> battery(100, [5])
    (100, 0)
    >>> battery(60, [-20, -20, -20, -20])
    (0, 2)
    >>> battery(1, [-1, 100, -100])
    (0, 2)
    >>> battery(40, [25, 50, -15])
    (85, 0)
    >>> battery(5, [-4, -1, 2])
    (2, 1)
    """
    empty = 0
    for change in events:
        level = max(0, min(100, level + change))
        if level == 0:
            empty += 1
    return level, empty
