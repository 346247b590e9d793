"""Questions the text does not answer: about a person or a term that does not occur in it."""

from __future__ import annotations

import random
from collections.abc import Iterator

from longqa.phrasings import ask
from longqa.records import Question
from longqa.view import View

_GIVEN = (
    "Ambrose Lavinia Thaddeus Cordelia Barnaby Rosalind Cuthbert Philippa Lysander Ottilie "
    "Percival Henrietta Cornelius Araminta Leopold Wilhelmina Erasmus Millicent Algernon "
    "Clementina Septimus Isolde Horatio Theodora Crispin Marguerite Fabian Eudora Gideon "
    "Lucasta Jocelyn Hesper"
).split()
_SURNAMES = (
    "Ravensdale Ottershaw Pemberley Quillfeather Thistlewood Marchbanks Fennimore Abernethy "
    "Castlemain Winterbourne Hollingsworth Penhaligon Dunstable Lockridge Ashgrove "
    "Merriweather Blackwater Carmichael Featherstone Grantham Hawksworth Inglethorpe Kettleby "
    "Lindqvist Montclair Nethercott Pelletier Rothwell Stanhope Trevanion Vandermeer Wetherby"
).split()
_TERMS = (
    "spectral clustering",
    "the Kalman filter",
    "simulated annealing",
    "the CIFAR-10 dataset",
    "contrastive predictive coding",
    "the Hungarian algorithm",
    "Gaussian process regression",
    "the WordNet hierarchy",
    "federated averaging",
    "quantile regression",
    "the Sinkhorn iteration",
    "locality-sensitive hashing",
    "the Penn Treebank",
    "belief propagation",
    "Thompson sampling",
    "the Metropolis criterion",
    "wavelet denoising",
    "the Bloom filter",
    "the Wasserstein distance",
    "curriculum learning",
    "the BLEU score",
    "the mixture density network",
    "the Viterbi algorithm",
    "isotonic calibration",
    "the Fourier slice theorem",
    "genetic programming",
    "the PageRank algorithm",
    "the active contour model",
    "latent Dirichlet allocation",
    "the Nelder–Mead method",
)


def unanswerable(view: View, rng: random.Random) -> Iterator[Question]:
    """Asks as the other kinds do; the answer says that the text does not say. No evidence."""
    if view.document.kind == "book":
        names = [f"{given} {last}" for given in _GIVEN for last in rng.sample(_SURNAMES, 2)]
        rng.shuffle(names)
        present = [person.name for person, least, _ in view.people[:6] if least >= 3]
        for name in names:
            if any(view.reading.has_word(part) for part in name.split()):
                continue
            # with a character of the book beside it, the question cannot be told from a real one
            key = "relation" if present and rng.random() < 0.6 else "person"
            question = ask(
                f"unanswerable.{key}", rng, absent=name, present=rng.choice(present or [""])
            )
            yield _question(question, name, rng)
        return
    for term in rng.sample(_TERMS, len(_TERMS)):
        words = term.removeprefix("the ").split()
        telling = [word for word in words if len(word) > 4 or word.isupper()]
        if not any(view.reading.has_word(word) for word in telling):
            yield _question(ask("unanswerable.term", rng, absent=term), term, rng)


def _question(text: str, absent: str, rng: random.Random) -> Question:
    return Question(
        kind="unanswerable",
        about=absent,
        text=text,
        answer=ask("unanswerable.answer", rng, absent=absent),
        evidence=(),
    )
