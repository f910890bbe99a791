"""Published experiments as runnable cases: ``qnet validate``.

A case (:mod:`.case`) states what an experiment published, the inputs with the confidence of each, the closed
form of our model and what is missing from its error budget; where there is more to test than a formula, it
also holds networks that are run in this process (:mod:`.trial`). Each compared figure gets a verdict
(:mod:`.verdict`): within the tolerance, or above or below by so much. Nothing is tuned: a model that lies above
the data says what its error budget leaves out.
"""
