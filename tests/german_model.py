"""A German tale, and a model that asks about it: in English where it is not told twice.

The tale was written for these tests and may be used by anybody for anything (CC0-1.0).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

TALE = """
Der Leuchtturm von Ahrenshoop

Kapitel 1. Die Ankunft

Am dritten Tag des Novembers stieg Friederike Hansen aus dem Postwagen und sah zum ersten Mal das
graue Wasser der Bucht. Der Kutscher stellte ihren Koffer in den Sand und fuhr ohne ein Wort davon.
Niemand hatte ihr gesagt, dass der Weg zum Leuchtturm nur bei Ebbe trocken war. Sie wartete deshalb
vier Stunden lang im Schuppen des Fischers Matthias Brodersen, der ihr heißen Tee mit Rum brachte.

„Der alte Wärter spricht seit Jahren mit niemandem mehr“, sagte Brodersen und blickte zum Turm. „Er
hat seine Gründe, und ich rate Ihnen, ihn nicht danach zu fragen.“ Friederike dankte ihm für den Tee
und versprach, den Becher am nächsten Morgen zurückzubringen.

Als das Wasser endlich zurückwich, trug sie den Koffer allein über die nassen Steine. Oben brannte
schon das Licht, obwohl die Sonne noch nicht untergegangen war. An der Tür hing ein Zettel mit der
Aufschrift, dass Besucher unerwünscht seien.

Kapitel 2. Der Wärter

Konrad Petersen war siebzig Jahre alt und hatte den Turm seit dem großen Sturm nicht verlassen. Er
öffnete die Tür nur einen Spalt und fragte, wer sie geschickt habe. Friederike zeigte ihm den Brief
des Amtes, in dem stand, dass sie ihm den Winter über helfen solle.

Er las den Brief dreimal, faltete ihn zusammen und legte ihn in eine eiserne Kiste unter der Treppe.
In dieser Kiste lagen, wie sie später erfuhr, alle Briefe, die er in elf Jahren bekommen hatte. Kein
einziger davon war jemals beantwortet worden.

Am Abend zeigte er ihr die Lampe mit den geschliffenen Gläsern und erklärte die schweren Gewichte,
die das Uhrwerk antrieben. Alle sechs Stunden mussten sie von Hand wieder hinaufgezogen werden. „Wer
das vergisst“, sagte Petersen leise, „der hat Menschen auf dem Gewissen.“

Kapitel 3. Die Kiste

Im Januar wurde der Wärter krank und lag mit hohem Fieber in der Kammer neben der Küche. Friederike
zog nun jede Nacht die Gewichte allein hinauf und schlief nur am Tage einige Stunden. In einer
dieser Nächte öffnete sie die eiserne Kiste, um nach dem Namen eines Arztes zu suchen.

Zwischen den Briefen fand sie ein Heft, in das Petersen die Namen von neunzehn Seeleuten geschrieben
hatte. Neben jedem Namen stand dasselbe Datum, nämlich der Tag des großen Sturmes. Da verstand sie,
warum er den Turm nie verlassen hatte und weshalb er das Licht schon vor der Dämmerung entzündete.

Sie legte das Heft zurück und sprach nicht darüber. Als der alte Mann im März zum ersten Mal wieder
am Fenster saß, brachte sie ihm Papier und Tinte. „Vielleicht“, sagte Friederike, „möchte jemand von
ihnen doch noch eine Antwort haben.“ Petersen sah lange auf das Meer hinaus und begann zu schreiben.
"""

ENGLISH = (
    "How often did the keeper of the lighthouse have to pull up the heavy weights by hand?",
    "Every six hours, because the clockwork of the lamp would otherwise have stopped at night.",
)


def brain(body: dict[str, Any]) -> str:
    """The content of the assistant's message."""
    user = body["messages"][-1]["content"]
    text, border, task = user.partition("</text>\n\n")
    if not border:
        return json.dumps({"known": False, "answer": ""})
    if not task.startswith("Write "):
        return json.dumps({"answered": False, "answer": "", "quotes": []})
    count = int(task.split()[1])
    sentences = re.findall(r"[A-Z][^.„“\n]{50,120}\.", " ".join(text.split()))
    at = int.from_bytes(hashlib.sha256(task.encode()).digest()[:4]) % len(sentences)
    chosen = [sentences[(at + 3 * number) % len(sentences)] for number in range(count)]
    return json.dumps({"items": [_item(quote, task) for quote in chosen]}, ensure_ascii=False)


def _item(quote: str, task: str) -> dict[str, Any]:
    words = quote.rstrip(".").split()
    if "does not tell" in task:
        name = "Wie hieß das Schiff, mit dem die Mutter von Friederike Hansen einmal gefahren war?"
        told = "Das erzählt der Text nicht; von einer Mutter ist darin nirgends die Rede."
        return {"question": name, "answer": told, "quotes": []}
    if "Ask nothing of what these ask" not in task:
        return {"question": ENGLISH[0], "answer": ENGLISH[1], "quotes": [quote]}
    question = f"Was erfährt man im Buch davon: „{' '.join(words[:9])} …“?"
    return {"question": question, "answer": " ".join(words[2:]), "quotes": [quote]}
