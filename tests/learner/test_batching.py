from redqueen.learner.batching import deal_minibatches


def test_minibatches_share_out_every_member_and_depend_on_nobody_else() -> None:
    members = [5] * 10 + [9] * 7 + [2]
    dealt = deal_minibatches(members, 3, seed=0, step=1, epoch=0)
    assert sorted(i for b in dealt for i in b) == list(range(18))
    for member in (5, 9):
        shares = [sum(members[i] == member for i in b) for b in dealt]
        assert max(shares) - min(shares) <= 1
    alone = deal_minibatches([5] * 10, 3, seed=0, step=1, epoch=0)
    assert alone == [[i for i in b if i < 10] for b in dealt]
    assert dealt != deal_minibatches(members, 3, seed=0, step=1, epoch=1)
    twins = deal_minibatches([5] * 10 + [9] * 10, 2, seed=0, step=1, epoch=0)[0]
    assert [i for i in twins if i < 10] != [i - 10 for i in twins if i >= 10]
    assert deal_minibatches(members, 1, 0, 0, 0) == [list(range(18))]
    assert deal_minibatches([4], 3, 0, 0, 0) == [[0]]
