"""Letters are read out of the ways in which models answer, and out of nothing else."""

import pytest

from lit_passk.tasks.choice.letters import chosen_letters

CITIES = ["Rome", "Paris", "Bern", "New York", "York"]
NUMBERS = ["3", "12", "3.5", "12 m", "-3"]
SCIENCE = ["A mole of gas", "A mole", "Oxidation of iron", "None of the above"]

STATED = [
    ("The answer is (B).", "B"),
    ("The answer is B", "B"),
    ("the correct answer is: B.", "B"),
    ("Therefore, the correct answer is **B**.", "B"),
    ("**Answer: B**", "B"),
    ("**Answer:** B", "B"),
    ("Answer: **(B) Paris**", "B"),
    ("Answer:\n\nB", "B"),
    ("Answer: $B$", "B"),
    ("Answer: $\\text{B}$", "B"),
    ("ANSWER: B", "B"),
    ("Final Answer: \\boxed{B}", "B"),
    ("$\\boxed{B}$", "B"),
    ("\\boxed{\\text{B}}", "B"),
    ("\\boxed{\\textbf{(B)}}", "B"),
    ("\\boxed{(B)\\ \\text{Paris}}", "B"),
    ("\\boxed{B. Paris}", "B"),
    ("\\boxed{b}", "B"),
    ("\\boxed{Paris}", "B"),
    ("\\boxed{\\text{Paris}}", "B"),
    ("So the answer is \\boxed{\\mathrm{B}}.", "B"),
    ("The answer is\n\n\\[\n\\boxed{B}\n\\]", "B"),
    ("The best choice is B) Paris.", "B"),
    ("The right option would be B, since Paris is the capital.", "B"),
    ("I choose B.", "B"),
    ("I would go with option B.", "B"),
    ("I'll pick (B).", "B"),
    ("Option B is correct.", "B"),
    ("(B) is the correct answer.", "B"),
    ("B is right because it is the capital.", "B"),
    ("The correct answer to this question is therefore option B.", "B"),
    ("The correct statement is (B).", "B"),
    ("The answer must be B.", "B"),
    ("This corresponds to option B.", "B"),
    ("The answer \u2192 B", "B"),
    ("Answer \u2013 B", "B"),
    ("<answer>B</answer>", "B"),
    ("<answer> (B) </answer>", "B"),
    ("answer: b", "B"),
    ("The answer is (b)", "B"),
    ("\u7b54\u6848\u662fB\u3002", "B"),
    ("\u6545\u9009\uff1aB", "B"),
    ("\u7b54\u6848\uff1a\uff08\uff22\uff09", "B"),
    ("The correct answer is A because it is eternal.", "A"),
    ("The answer is A.", "A"),
    ("The answer is A, Rome.", "A"),
    ("Answer: A) Rome", "A"),
    ("The answer is Paris.", "B"),
    ("The answer is York.", "E"),
    ("The answer is: New York, obviously", "D"),
    ("The answer is 'B'.", "B"),
    ("Answer: {B}", "B"),
    ("[[B]]", "B"),
    ("Option (B) is the right one", "B"),
    ("B is your answer", "B"),
    ("Answer: The correct option is B", "B"),
    ("### Answer\nB", "B"),
    ("The answer is B?", "B"),
    ("The answer is:\n**B**\n\nExplanation: A is wrong.", "B"),
]
LAST_COUNTS = [
    ("The answer is A. Wait, no: the answer is C.", "C"),
    ("\\boxed{A}\n\nChecking again, I find \\boxed{C}.", "C"),
    ("\\boxed{A} Hmm. Therefore the correct answer is (C).", "C"),
    ("If A is correct then Rome is the capital. So the answer is C.", "C"),
    ("<think>The answer is A.</think>The answer is C.", "C"),
    ("The answer is not A but C.", "C"),
    ("It is not A but C.", "C"),
    ("Not A, but rather C.", "C"),
    ("So it is C, not A.", "C"),
    ("It must be C rather than A.", "C"),
    ("The answer is C, not A.", "C"),
    ("The answer is C and not A.", "C"),
    ("The answer is not A. Hence (C).", "C"),
    ("The answer is C. Options A and B are wrong.", "C"),
    ("Option A is not correct. Option B is incorrect. Option C is correct. Option D is wrong.", "C"),
    ("The answer cannot be A, so C", "C"),
    ("The answer is C, not A or B", "C"),
    ("Both A and B are wrong, so C.", "C"),
    ("The answer is likely A or C, but C seems best. Answer: C", "C"),
]
LINES = [
    ("B", "B"),
    ("(B)", "B"),
    ("**B**", "B"),
    ("B.", "B"),
    ("B) Paris", "B"),
    ("B. Paris", "B"),
    ("B: Paris", "B"),
    ("- **B) Paris**", "B"),
    ("Option B", "B"),
    ("We look at the map.\n\n**B) Paris**", "B"),
    ("B) Paris, which lies on the Seine.\n\nRome is elsewhere (A).", "B"),
    ("B\n\nParis is the capital of France, and has been for long.", "B"),
    ("A) No.\nB) Yes, this one.\nC) No.\nD) No.\n\nB) Paris", "B"),
    ("Let me see.\nParis", "B"),
    ("Let me see.\nThe capital is Paris.", "B"),
    ("Let me see.\nIt is New York", "D"),
    ("Therefore, (B).", "B"),
    ("Rome is out. Hence option B.", "B"),
    ("So it's A.", "A"),
]
NOTHING = [
    "",
    "I do not know.",
    "The answer is Z.",
    "The answer is a city in France.",
    "A good question, to which I have no reply.",
    "I think that nobody can tell.",
    "A) Rome\nB) Paris\nC) Bern\nD) New York\nE) York",
    "Both Rome and Paris may be meant",
    "A or B?",
    "The answer is not B.",
    "Which is correct?",
]


@pytest.mark.parametrize(("text", "letter"), [*STATED, *LAST_COUNTS, *LINES])
def test_the_letter_is_found(text, letter):
    assert chosen_letters(text, CITIES) == letter


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_is_found_where_nothing_was_chosen(text):
    assert chosen_letters(text, CITIES) is None


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("The answer is A and C.", "A,C"),
        ("The answer is A or C.", "A,C"),
        ("Answer: (A), (C)", "A,C"),
        ("\\boxed{A, C}", "A,C"),
        ("\\boxed{AC}", "A,C"),
        ("\\boxed{A} and \\boxed{C}", "A,C"),
        ("The answer is both A and B", "A,B"),
        ("The answer is A and A.", "A"),
    ],
)
def test_several_letters_are_an_answer_that_is_no_option(text, letters):
    assert chosen_letters(text, CITIES) == letters


@pytest.mark.parametrize(
    ("options", "text", "letter"),
    [
        (NUMBERS, "The answer is \\boxed{12}", "B"),
        (NUMBERS, "The length is 12 m.", "D"),
        (NUMBERS, "x = 3.5", "C"),
        (NUMBERS, "\\boxed{-3}", "E"),
        (NUMBERS, "The answer is 12 m.", "D"),
        (SCIENCE, "The answer is A mole.", "B"),
        (SCIENCE, "The answer is: A mole of gas", "A"),
        (SCIENCE, "the answer is oxidation of iron", "C"),
        (SCIENCE, "None of the above", "D"),
        ([*"abcdefghij"], "The answer is (J).", "J"),
        ([*"abcdefghij"], "The answer is I.", "I"),
        ([*"abcdefghij"], "I think the answer is H.", "H"),
        (["x", "y"], "The answer is (C). That is all", None),
        (["heat", "work"], "By F = ma and E = mc^2 the answer is B.", "B"),
    ],
)
def test_options_of_other_kinds(options, text, letter):
    assert chosen_letters(text, options) == letter


@pytest.mark.parametrize("loop", ["the answer is ", "answer is therefore ", "\\boxed{", "A or ", "so ", "(", " " * 9])
def test_a_policy_in_a_loop_has_no_answer_or_its_last(loop):
    assert chosen_letters("The answer is C.\n" + loop * 5000, CITIES) in (None, "C")
    assert chosen_letters(loop * 5000 + "\nThe answer is C.", CITIES) == "C"
