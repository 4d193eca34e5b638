"""Texts that look like an answer and are none, or are another."""

import pytest

from millstream.review.model import Verdict
from millstream.review.reading import understand
from millstream.review.words import LANGUAGES

UNCLEAR = """
I would not approve this|I never approved this|Approved by whom|ok so what|ok then no|No problem|No problem, approved
No, no problem|No, nothing wrong|No, the letter is fine|No, this is great|no worries, go ahead|No changes
No.  Approved.
Yes. No.|Yes and no|not bad|Not rejected, approved|I don't reject this
Please do not change anything|Please change nothing
No need to change the date|approve: no|approved: false|approval pending|Please reject|Please approve|rejected by mistake
I rejected it yesterday|Rejected by Carl|Approved with changes|approved with comments|OK for page 1|ok for me, ask Ben
ok for now|great, another typo|Sure you want this|of course not|absolutely not|Agreed not to send|I agree with Ben
see above|done|noted|Will do|@Ben please approve|Ben: approved|Anna approved|Should be approved|not by me approved
Approved until Friday|Approved!! NOT|ok \U0001f44e|\U0001f44d\U0001f44e|\U0001f44d but fix date|ok :(|No, I like it
No, I have read it and it may go out|No, there are no errors|No, I didn't find mistakes|No, I don't mind|No, not at all
Change of plan: approved|please change your mind|please make it happen|please add me to the list|please put this on hold
changes needed: none|Changes: none|corrections: no|No changes requested|Unsubscribe|STOP|Automatic reply: approved
all but 2 approved|all except 2 ok|not all approved|all not approved|both ok|first ok, second no|1 to 3 ok
Nein, keine Fehler gefunden|Nein, das ist nicht falsch|Nicht schlecht|Jein|Ja, nein|Meinetwegen|Bitte ablehnen
Bitte nicht ändern|Bitte nichts ändern|bitte um Freigabe|Freigabe folgt|Freigegeben von Berta|kein Problem
Ich lehne nicht ab|Ich kann das nicht ablehnen|Abgelehnt hat das gestern Recht|Abgelehnt, sagt Berta
Stimmt, die Adresse ist falsch|Gut, dann lehne ich ab|Super, schon wieder falsch|Gerne später
Änderungen: keine|Änderungen freigegeben
Non, rien à changer|Non, c'est bon|Pas mal|Oui mais non|D'accord, mais plus tard|Je ne refuse pas|Ce n'est pas refusé
Merci de ne rien changer|Merci de ne pas modifier|Modifications : aucune
Sí, pero no|Si aprobado|No está mal|No hay problema|No, está bien|No lo rechazo|No hay que cambiar nada|Cambios: ninguno
No, va bene|No, nessun problema|Non male|Non respingo|Va bene o no|Per favore non modificare|Modifica: nessuna
Nee, geen bezwaar|Nee, prima|Niet slecht|Geen afkeuring|Ik keur het niet af|Akkoord? Nee|Prima, maar later
Wijzigingen: geen
I refuse to reject this|I decline to refuse it|I reject the rejection|Ich lehne es ab, das abzulehnen
Ich lehne die Ablehnung ab|Je refuse de refuser
Je refuse de rejeter ce courrier|Rechazo rechazarlo|Rifiuto di respingere la lettera
Ik weiger dit te weigeren|Ik weiger dit af te keuren
Hay que cambiar la fecha de la reunión|Please change the date of the meeting|Please change my password
Bitte den Termin der Besprechung ändern|Bitte die Einladung anpassen|Il faut changer la date de la réunion
Bisogna cambiare la data della riunione|Graag de vergadering verplaatsen
Could you please fix?|Could you please change the date or is that too late?
Could you please change the date? Or leave it?|Could you please not change the date?
Why? Could you please change the date?
Könnten Sie das Datum ändern, wenn es geht?|Können Sie das Datum ändern?|Könnten Sie das bitte nicht ändern?
Pouvez-vous changer l'adresse, ou est-ce trop tard ?|¿Podríais cambiar la fecha? ¿O no?|Kunnen jullie dit wijzigen?
Approved, thanks for nothing|ok, thanks for the rejection|Yes and|And approved?|ok und|gelesen und nicht freigegeben
Checked|Geprüft|Revisado|Letto e controllato|Gelezen|RAS|Thanks for the new version
Please don't send this to Ben|Bitte so nicht versenden, bevor Recht zustimmt|De brief moet eruit|Der Brief muss raus
"""


@pytest.mark.parametrize("text", [each for line in UNCLEAR.strip().splitlines() for each in line.split("|")])
def test_what_is_no_clear_answer_decides_nothing(text: str) -> None:
    understood = understand(text, LANGUAGES)
    assert (understood.verdict, understood.cases) == (None, ())


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("not ok", Verdict.REJECT),
        ("That is not correct", Verdict.REJECT),
        ("No, the amount does not match the contract", Verdict.REJECT),
        ("Nein, der Betrag stimmt nicht", Verdict.REJECT),
        ("The address is wrong. Rejected.", Verdict.REJECT),
        ("No objections", Verdict.APPROVE),
        ("o.k.", Verdict.APPROVE),
        ("\uff2f\uff2b", Verdict.APPROVE),
        ("*Approved*", Verdict.APPROVE),
        ("\U0001f44d\U0001f3fd", Verdict.APPROVE),
        ("APPROVED!!!", Verdict.APPROVE),
        ("Could you please change the date to 3 May?", Verdict.CHANGE),
        ("Könntet ihr bitte das Logo austauschen?", Verdict.CHANGE),
        ("¿Podéis sustituir el logotipo por el nuevo?", Verdict.CHANGE),
        ("Bitte das Datum auf den 31.01. ändern und zur erneuten Freigabe vorlegen", Verdict.CHANGE),
        ("Geprüft und freigegeben", Verdict.APPROVE),
        ("I reject this because the customer refused", Verdict.REJECT),
        ("Please replace \"approved\" by 'agreed' in clause 4.", Verdict.CHANGE),
        ("Freigegeben. Die Tabelle stimmt mit dem Preisblatt überein.", Verdict.APPROVE),
        ("Validé. Le ton est juste et le tableau conforme à la grille.", Verdict.APPROVE),
        ("Die Adresse ist falsch, richtig ist Gartenweg 4", Verdict.CHANGE),
        ("Rejected: this was meant for private clients only and would cost us the licence.", Verdict.REJECT),
        ("The customer has moved to Leeds, please change the address.", Verdict.CHANGE),
        ("Two points:\n- full name in the greeting\n- 15 May instead of 15 June", Verdict.CHANGE),
    ],
)
def test_what_is_clear_decides(text: str, verdict: Verdict) -> None:
    assert understand(text, LANGUAGES).verdict is verdict


def test_a_range_of_numbers_means_all_between() -> None:
    understood = understand("1-3 ok", ("en",))
    assert [number for number, _, _ in understood.cases] == [1, 2, 3]
