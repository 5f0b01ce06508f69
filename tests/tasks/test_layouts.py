"""Rows in the layouts of published data sets load without naming a column, or say how to name one."""

from __future__ import annotations

import json

import pytest

from lit_passk.errors import Refusal
from lit_passk.tasks.choice import MultipleChoice
from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.math import MathTask
from lit_passk.tasks.math.task import INSTRUCTION
from lit_passk.tasks.puzzles import CountdownTask
from lit_passk.tasks.rows import ANSWER_COLUMNS, PROMPT_COLUMNS

CHAT = [{"role": "user", "content": "What is 1 + 1?"}]
SOLVED = r"So $1 + 1 = \boxed{2}$."
TRUTH = {"style": "rule", "ground_truth": "2"}

MATH = {
    "MATH": {"problem": "p", "level": "Level 1", "type": "Algebra", "solution": SOLVED},
    "MATH-500": {"problem": "p", "solution": SOLVED, "answer": "2", "unique_id": "test/algebra/1.json"},
    "AIME, capitals": {"ID": "2024-I-1", "Problem": "p", "Solution": "s", "Answer": 2},
    "AMC": {"id": 0, "problem": "p", "answer": 2.0, "url": "u"},
    "OlympiadBench": {"id": 1, "question": "p", "solution": ["s"], "final_answer": ["2"], "image_1": None},
    "SVAMP": {"ID": "c", "Body": "b", "Question": "q", "Answer": "2", "question_concat": "b q"},
    "SVAMP, first version": {"ID": "c", "Body": "b", "Question": "q", "Answer": 2.0, "Equation": "( 1 + 1 )"},
    "ASDiv": {"body": "b", "question": "q", "answer": "2 (apples)", "formula": "1+1=2"},
    "MGSM": {"question": "p", "answer": None, "answer_number": 2, "equation_solution": None},
    "DAPO": {"data_source": "math_dapo", "prompt": CHAT, "ability": "MATH", "reward_model": TRUTH},
    "DAPO, processed": {"prompt": "p", "solution": "2", "source_prompt": CHAT, "reward_model": TRUTH},
    "Skywork-OR1": {"prompt": CHAT, "reward_model": {"style": "rule", "ground_truth": '["2"]'}},
    "ORZ": {"0": {"from": "human", "value": "p"}, "1": {"from": "assistant", "ground_truth": {"value": "2"}}},
    "INTELLECT-2": {"task_type": "verifiable_math", "prompt": "p", "verification_info": '{"ground_truth": "2"}'},
    "Big-Math": {"problem": "p", "answer": "2", "source": "gsm8k", "domain": ["a"], "llama8b_solve_rate": 0.5},
    "OpenR1-Math": {"problem": "p", "solution": "s", "answer": "2", "question_type": "MCQ", "generations": [SOLVED]},
    "Polaris": {"problem": "p", "answer": "2", "difficulty": "3/8"},
    "MathArena": {"problem_idx": 1, "problem": "p", "answer": 2, "problem_type": ["Algebra"]},
    "TheoremQA": {"Question": "p", "Answer": 2.0, "Answer_type": "integer", "Picture": None},
    "DeepMath": {"question": "p", "final_answer": "2", "r1_solution_1": "s"},
    "OpenMathReasoning": {"expected_answer": "2", "problem": "p", "generated_solution": SOLVED},
    "MetaMathQA": {"query": "p", "response": "1 + 1 = 2.\nThe answer is: 2", "type": "GSM_Rephrased"},
    "Orca-Math": {"question": "p", "answer": "One and one make two. Therefore, the answer is 2."},
    "DeepScaleR": {"problem": "p", "answer": "2", "solution": ""},
    "rLLM": {"question": "p", "ground_truth": "2", "data_source": "math"},
    "SkyRL": {"prompt": CHAT, "env_class": "aime", "reward_spec": {"method": "rule", "ground_truth": "2"}},
    "Eurus-2": {"prompt": [{"role": "system", "content": "s"}, *CHAT], "ability": "math", "reward_model": TRUTH},
    "GURU": {"prompt": CHAT, "apply_chat_template": True, "qwen2.5_7b_pass_rate": 0.5, "reward_model": TRUTH},
    "SimpleRL-Zoo": {"prompt": CHAT, "gt_answer": "2", "target": "2", "reward_model": TRUTH},
    "SimpleRL": {"input": "<|im_start|>p", "question": "p", "answer": r"So \boxed{3}, no.", "gt_answer": "2"},
    "AceReason-Math": {"problem": "p", "answer": "$2$"},
    "MegaScience": {"question": "p", "answer": "One and one. " * 9, "reference_answer": "2", "subject": "math"},
    "MegaScience, no reference": {"question": "p", "answer": SOLVED, "reference_answer": "", "subject": "math"},
    "WebInstruct-verified": {"id": 1, "question": "p", "answer": "2", "answer_type": "Integer", "category": "c"},
    "s1K": {"solution": "2", "question": "p", "cot_type": "math", "metadata": "{'ID': '1'}", "cot": None},
    "LIMO": {"question": "p", "solution": "Long.", "answer": "2"},
    "LIMR, STILL-3": {"prompt": "p", "answer": "2"},
    "AReaL": {"prompt": "p", "solutions": [r"\boxed{2}"], "task": "math", "query_id": "x"},
    "NuminaMath-CoT": {"problem": "p", "solution": SOLVED, "messages": [*CHAT, {"role": "assistant", "content": "a"}]},
    "SYNTHETIC-1": {"prompt": "p", "gold_standard_solution": "g", "verification_info": "{'ground_truth': '2'}"},
    "OpenThoughts, metadata": {"problem": "p", "deepseek_solution": "d", "ground_truth_solution": SOLVED},
    "NeMo-RL": {"problem": "p", "expected_answer": "2"},
    "NeMo-Gym": {"responses_create_params": {"input": CHAT}, "expected_answer": "2"},
    "Tulu 3 RLVR": {"messages": CHAT, "ground_truth": "2", "dataset": "math"},
    "Nemotron v1": {"messages": [*CHAT, {"role": "assistant", "content": "3"}], "metadata": '{"expected_answer": "2"}'},
    "Llama-Nemotron": {"input": CHAT, "output": f"<think>3</think>{SOLVED}", "system_prompt": "detailed thinking on"},
    "OpenThoughts, Light-R1": {"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": SOLVED}]},
    "MathInstruct": {"instruction": "p", "output": "One and one. The answer is 2"},
    "Qwen's evaluation": {"idx": 0, "question": "p", "gt_cot": "c", "gt": "2"},
    "U-MATH": {"uuid": "u", "subject": "s", "has_image": False, "problem_statement": "p", "golden_answer": "2"},
    "SciBench": {"problem_text": "p", "answer_number": "2", "answer_latex": "2", "unit": "m", "solution": ""},
    "Math23K": {"id": "1", "original_text": "p", "equation": "x=1+1", "ans": "2"},
    "CMATH": {"question": "p", "golden": "2", "grade": 1},
    "MultiArith": {"question": "p", "final_ans": "2"},
    "prime-rl, verifiers": {"prompt": "p", "info": '{"answer": "2"}', "task": "math"},
    "GSM-Symbolic": {"question": "p", "answer": "1+1=2\n#### 2", "original_question": "q", "original_answer": "3"},
    "GSM-Plus": {"question": "p", "solution": "1+1=2 #### 2", "answer": "2", "seed_answer": "3"},
    "BeyondAIME": {"problem": "p", "answer": 2},
    "Open-Platypus": {"input": "", "instruction": "p", "output": SOLVED, "data_source": "MATH/PRM-800K"},
    "Nemotron-CrossThink": {"prompt": "p", "meta_data": {"index": 1}, "reward_model": TRUTH},
    "NaturalReasoning": {"question": "p", "reference_answer": "2", "responses": [{"response": "y"}]},
    "SYNTHETIC-2": {"prompt": "p", "verification_info": '{"ground_truth": "2"}', "metadata": "{}"},
    "ROLL": {"prompt": "p", "messages": json.dumps(CHAT), "ground_truth": "2", "test_cases": "", "tag": "math"},
}
CHOICE = {
    "OpenBookQA": {"question_stem": "q", "choices": {"label": ["A", "B"], "text": ["a", "b"]}, "answerKey": "B"},
    "MedMCQA": {"question": "q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 1},
    "C-Eval": {"question": "q", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "B"},
    "CMMLU": {"Question": "q", "A": "a", "B": "b", "C": "c", "D": "d", "Answer": "B"},
    "AQuA": {"question": "q", "options": ["A)a", "B)b"], "correct": "B"},
    "MathQA": {"Problem": "q", "Rationale": "r", "options": "a ) a , b ) b , c ) c", "correct": "b"},
    "ReClor": {"context": "c", "question": "q", "answers": ["a", "b"], "label": 1, "id_string": "t"},
    "LogiQA": {"context": "c", "query": "q", "options": ["a", "b"], "correct_option": 1},
    "RACE": {"example_id": "x", "article": "c", "question": "q", "options": ["a", "b"], "answer": "B"},
    "PIQA": {"goal": "q", "sol1": "a", "sol2": "b", "label": 1},
    "SocialIQA": {"context": "c", "question": "q", "answerA": "a", "answerB": "b", "answerC": "d", "label": "2"},
    "WinoGrande": {"sentence": "q", "option1": "a", "option2": "b", "answer": "2"},
    "MMLU-ProX": {"question": "q", "option_0": "a", "option_1": "b", "option_2": "", "answer": "B", "answer_index": 1},
    "AGIEval": {"query": "q", "choices": ["(A)a", "(B)b"], "gold": [1]},
    "SuperGPQA": {"uuid": "u", "question": "q", "options": ["a", "b"], "answer": "b", "answer_letter": "B"},
    "HellaSwag": {"ctx": "q", "endings": ["a", "b"], "label": "1"},
}
COUNTDOWN = {
    "TinyZero": {"target": 10, "nums": [5, 5], "prompt": CHAT},
    "TinyZero for verl": {"prompt": CHAT, "reward_model": {"ground_truth": {"target": 10, "numbers": [5, 5]}}},
    "as text": {"target": "10", "nums": "[5, 5]"},
    "as floats": {"target": 10.0, "nums": [5.0, 5.0]},
}
ONE_TEST = [{"input": "1\n", "output": "1\n", "testtype": "stdin"}]
CODE = {
    "DeepCoder": {"problem": "q", "tests": json.dumps(ONE_TEST), "solutions": []},
    "DeepCoder, of TACO": {"problem": "q", "tests": json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]})},
    "SYNTHETIC-1": {"prompt": "q", "verification_info": json.dumps({"test_cases": ONE_TEST})},
    "open-r1": {"problem": "q", "verification_info": {"language": "python", "test_cases": ONE_TEST}},
    "OpenThoughts": {
        "problem": "q",
        "test_cases": json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]}),
        "domain": "code",
    },
    "Olmo 3": {"messages": [{"role": "user", "content": "q\n"}], "ground_truth": [json.dumps(ONE_TEST)]},
    "SYNTHETIC-2": {"prompt": "q", "verification_info": json.dumps({"language": "python", "test_cases": ONE_TEST})},
    "rStar-Coder, APPS in columns": {"question": "q", "inputs": ["1\n"], "outputs": ["1\n"], "fn_name": ""},
    "AReaL": {"prompt": "q", "input_output": json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]}), "task": "code"},
}
TWO_SUM = {
    "task_id": "two-sum",
    "problem_description": "Two that sum up",
    "starter_code": "class Solution:\n    def pair(self, nums: List[int]) -> List[int]:\n        ",
    "prompt": "import random\nfrom typing import *\n",
    "completion": "class Solution:\n    def pair(self, nums):\n        return [0, 1]",
    "entry_point": "Solution().pair",
    "test": "def check(candidate):\n    assert candidate(nums = [3, 3]) == [0, 1]\n",
}


def load(task, tmp_path, *rows, **arguments):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return task(str(path), **arguments)


@pytest.mark.parametrize("name", MATH)
def test_math(tmp_path, name):
    task = load(MathTask, tmp_path, MATH[name], instruction="")
    assert [task.score(task[0], rf"\boxed{{{number}}}").correct for number in (2, 3)] == [True, False]


def test_proofs_are_left_out(tmp_path):
    numina = {"problem": "p", "answer": "2", "question_type": "math-word-problem", "problem_type": "Algebra"}
    proofs = [{**numina, "answer": word, "question_type": "proof"} for word in ("proof", "notfound")]
    with pytest.warns(UserWarning, match=r"2 of 3 rows of .* have no reference answer and are left out"):
        assert len(load(MathTask, tmp_path, numina, *proofs)) == 1
    assert load(MathTask, tmp_path, {"problem": "The opposite of disproof?", "answer": "proof"})[0].answer == "proof"


LONG = "Suppose that it holds for n. Then adding the next number on both sides shows that it holds for n + 1 as well."


@pytest.mark.parametrize(
    "proof",
    [
        {"problem": "p", "solution": f"By induction. {LONG} {LONG}", "source": "olympiads"},
        {"question": "p", "solution": f"{LONG} {LONG} This is the claim.", "cot_type": "math"},
        {"problem": "p", "answer": "n + 1", "question_type": "proof"},
        {"problem": "p", "expected_answer": None, "generated_solution": SOLVED, "problem_type": "no_answer_extracted"},
        {"messages": [*CHAT, {"role": "assistant", "content": SOLVED}], "metadata": {"expected_answer": ""}},
        {"prompt": "p", "gold_standard_solution": f"{LONG} {LONG}", "verification_info": "{}"},
        {"prompt": CHAT, "reward_model": {"ground_truth": '["", " "]'}},
    ],
    ids=["NuminaMath-CoT", "s1K", "NuminaMath-1.5", "OpenMathReasoning", "Nemotron", "SYNTHETIC-1", "Skywork-OR1"],
)
def test_texts_that_nobody_could_answer_with_are_no_answers(tmp_path, proof):
    with pytest.warns(UserWarning, match="1 of 2 rows of .* have no reference answer and are left out"):
        assert len(load(MathTask, tmp_path, {"problem": "p", "answer": "2"}, proof)) == 1
    with pytest.raises(Refusal, match=r"or \d+ others that docs/data.md .* A proof has none"):
        load(MathTask, tmp_path, proof)


@pytest.mark.parametrize(
    "end",
    ["The final answer is 2.", "**Answer:** 2", "Answer: $2$", "### Final Answer: 2", "**Answer: 2**", "Answer:\n2"],
)
def test_a_solution_may_state_its_answer_in_other_ways(tmp_path, end):
    task = load(MathTask, tmp_path, {"problem": "p", "solution": f"{LONG} {LONG}\n\n{end}"})
    assert task[0].answer.strip("$") == "2"


@pytest.mark.parametrize("answer", ["a b " * 25, r"\begin{pmatrix}1&2\end{pmatrix}" * 30, f"{LONG} {LONG}\n#### 2"])
def test_long_answers_stay(tmp_path, answer):
    assert load(MathTask, tmp_path, {"problem": "p", "answer": answer})[0].answer == answer


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": CHAT, "reward_model": {"ground_truth": json.dumps(["1/3", "0.5"]), "style": "rule"}},
        {"prompt": CHAT, "reward_model": {"ground_truth": ["1/3", "", r"\frac{1}{2}"]}},
        {"prompt": "p", "solutions": [r"\boxed{1/3}", r"Or \boxed{\frac12}."], "task": "math"},
    ],
    ids=["Skywork-OR1", "verl", "AReaL"],
)
def test_of_several_answers_any_is_right(tmp_path, row):
    task = load(MathTask, tmp_path, row)
    right = [task.score(task[0], rf"It is \boxed{{{said}}}.").correct for said in ("2/4", "1/3", "1/3, 1/2", "2")]
    assert right == [True, True, False, False]


def test_a_conversation_is_asked_without_its_answer(tmp_path):
    turns = [{"from": "human", "value": "p"}, {"from": "gpt", "value": "q"}, {"from": "human", "value": "r"}]
    row = {"system": "s", "conversations": [*turns, {"from": "gpt", "value": SOLVED}]}
    task = load(MathTask, tmp_path, row)
    assert [(turn["role"], turn["content"]) for turn in task[0].prompt] == [
        ("system", "s"),
        ("user", "p"),
        ("assistant", "q"),
        ("user", "r"),
    ]
    assert (task[0].answer, task.demonstration(0)) == ("2", SOLVED)
    usual = {"prompt_column": list(PROMPT_COLUMNS), "answer_column": list(ANSWER_COLUMNS)}
    assert load(MathTask, tmp_path, row, **usual).problems == task.problems, "as a saved configuration has them"
    for name in ("messages", "conversations"):
        row = {name: [*CHAT, {"role": "assistant", "content": SOLVED}]}
        assert load(MathTask, tmp_path, row, prompt_column=name, answer_column=name)[0].prompt == CHAT
    other = {"messages": [{"role": "system", "content": "own"}, *CHAT], "system": "s", "answer": "2"}
    assert load(MathTask, tmp_path, other)[0].prompt == other["messages"]
    assert load(MathTask, tmp_path, {"problem": "p", "answer": "2", "messages": 5, "system": "s"})[0].prompt[0] == "p"
    with pytest.raises(Refusal, match="line 1, column 'messages' needs a list of turns, but holds 5"):
        load(MathTask, tmp_path, {"messages": 5, "answer": "2"})


@pytest.mark.parametrize(
    "text",
    [
        r"What is 1 + 1? Please put your final answer within \boxed{}.",
        r"Return your final response within \boxed{}. What is 1 + 1?",
        r"What is 1 + 1? Enclose the result in a \boxed command.",
        r"What is 1 + 1? End with: The answer is $\boxed{...}$.",
        "What is 1 + 1?\n\nPresent the answer in LaTex format: \\boxed{Your answer}",
        'What is 1 + 1? Output the final answer after "####".',
        "The last line must be of the form Answer: $Answer. What is 1 + 1?",
    ],
)
def test_a_text_that_says_how_to_answer_is_taken_as_it_is(tmp_path, text):
    assert load(MathTask, tmp_path, {"prompt": text, "answer": "2"})[0].prompt == text
    assert load(MathTask, tmp_path, {"prompt": text, "answer": "2"}, instruction="i")[0].prompt == f"{text}\ni"


@pytest.mark.parametrize(
    "text",
    [
        "Answer: 3 is wrong. Why?",
        r"Simplify \boxed{x}.",
        "#### Question\n1 + 1?",
        "Question: 1 + 2?\nSolution: the answer is $\\boxed{3}$.\n\nQuestion: 1 + 1?",
        "Q: 1 + 2?\nA: The result of both is #### 3\nQ: 1 + 1?\nA:",
    ],
)
def test_other_texts_are_asked_for_a_box(tmp_path, text):
    assert load(MathTask, tmp_path, {"prompt": text, "answer": "2"})[0].prompt == f"{text}\n{INSTRUCTION}"


@pytest.mark.parametrize("begin", ["<|im_start|>user\n", "<｜User｜>", "<|start_header_id|>user", "[INST] "])
def test_a_rendered_prompt_is_refused_with_what_takes_it(tmp_path, begin):
    row = {"prompt": f"{begin}What is 1 + 1?", "answer": "2"}
    with pytest.raises(Refusal, match=r"chat template was already applied.*`instruction: ''` takes the text as it is"):
        load(MathTask, tmp_path, row)
    assert load(MathTask, tmp_path, row, instruction="")[0].prompt == row["prompt"]


def test_a_place_in_an_object_is_named(tmp_path):
    row = {"prompt": CHAT, "reward_model": {"ground_truth": {"target": ["2", "two"]}}}
    with pytest.raises(Refusal, match=r"A point leads into it: 'reward_model.ground_truth.target'"):
        load(MathTask, tmp_path, row)
    task = load(MathTask, tmp_path, row, answer_column="reward_model.ground_truth.target")
    assert task.score(task[0], r"\boxed{2}").correct


def test_a_question_in_two_columns_is_read_whole(tmp_path):
    assert {load(MathTask, tmp_path, MATH[n], instruction="")[0].prompt for n in ("SVAMP", "ASDiv")} == {"b q"}
    assert load(MathTask, tmp_path, MATH["SVAMP, first version"], instruction="")[0].prompt == "b q"
    alpaca = {"instruction": "Add.", "input": "1 and 1", "output": SOLVED}
    assert load(MathTask, tmp_path, alpaca, instruction="")[0].prompt == "Add.\n1 and 1"
    assert load(MathTask, tmp_path, {**alpaca, "input": ""}, instruction="")[0].prompt == "Add."


def test_a_row_without_a_known_column_says_how_to_name_one(tmp_path):
    with pytest.raises(Refusal, match=r"Its columns are 'prompt', 'solved'. `prompt_column` and `answer_column` take"):
        load(MathTask, tmp_path, {"prompt": "p", "solved": "2"})
    with pytest.raises(Refusal, match=r"for the question. .*`prompt_column` and `answer_column` take other names"):
        load(MathTask, tmp_path, {"asked": "p", "answer": "2"})
    with pytest.raises(Refusal, match=r"`columns` maps other names: {text: question, test_list: test_cases}"):
        load(CodeTask, tmp_path, {"question": "q", "asserts": ["assert f(1) == 1"]}, unsafe_no_sandbox=True)


@pytest.mark.parametrize("name", CHOICE)
def test_choice(tmp_path, name):
    task = load(MultipleChoice, tmp_path, CHOICE[name])
    assert task[0].answer == "B"
    assert "(A) a\n(B) b\n" in task[0].prompt
    passage = "article" in CHOICE[name] or "context" in CHOICE[name]
    assert task[0].prompt.startswith("c\n\nq\n" if passage else "q\n")


def test_a_right_answer_beside_the_wrong_ones_is_shown_in_a_mixed_order(tmp_path):
    sciq = {"question": "q", "correct_answer": "r", "support": "s", **{f"distractor{n}": str(n) for n in (1, 2, 3)}}
    task = load(MultipleChoice, tmp_path, *(sciq for _ in range(20)))
    assert len({problem.answer for problem in task.problems}) > 1
    assert all(f"({problem.answer}) r" in problem.prompt for problem in task.problems)


@pytest.mark.parametrize("name", COUNTDOWN)
def test_countdown(tmp_path, name):
    task = load(CountdownTask, tmp_path, COUNTDOWN[name])
    assert json.loads(task[0].answer) == {"nums": [5, 5], "target": 10}


@pytest.mark.parametrize("name", CODE)
def test_code(tmp_path, name):
    task = load(CodeTask, tmp_path, CODE[name], unsafe_no_sandbox=True)
    assert json.loads(task[0].answer)["cases"] == [{"input": "1\n", "output": "1\n"}]
    asked = task[0].prompt
    assert (asked if isinstance(asked, str) else asked[0]["content"]).startswith("q\n")


def test_leet_code(tmp_path):
    nodes = {**TWO_SUM, "task_id": "x", "starter_code": "class Solution:\n    def f(self, root: Optional[TreeNode]):\n"}
    with pytest.warns(UserWarning, match="1 problems of .* cannot be scored"):
        task = load(CodeTask, tmp_path, TWO_SUM, nodes, unsafe_no_sandbox=True)
    assert task[0].prompt.startswith("Two that sum up\n\n```python\nclass Solution:")
    right, wrong = task.demonstration(0), "```python\ndef pair(nums: List[int]):\n    return nums\n```"
    assert [task.verdict(task[0], completion).passed for completion in (right, wrong)] == [True, False]
