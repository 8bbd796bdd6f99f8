"""Everything that reads what others wrote, given what nobody would write.

targets.py     what is fuzzed: for each its input's ingredients, and what has to hold whatever the input is
inputs.py      inputs made of these ingredients, of random bytes, and of the corpus, cut, doubled and mixed
corpus/NAME/   inputs that are worth trying every time: examples of the format, and what once broke something
test_fuzz.py   the corpus, and a bounded number of new inputs
__main__.py    `python -m tests.fuzz --minutes 10 [NAME …]`: new inputs for longer; what breaks something is kept
"""
