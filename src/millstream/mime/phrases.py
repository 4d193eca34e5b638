"""The words of mail programs in the languages of customers: attribution lines, header labels, signatures, greetings.

They only ever shorten what is shown as a person's own words, or second a header field; nothing else hangs on words.
Sources: the programs' own localised defaults (Gmail, Outlook, Apple Mail, Thunderbird, Yahoo, GMX), as of 2026.
"""

import re
from typing import Final

COLONS: Final = (":", "：")

# One letter or another: the same line comes composed and decomposed, with and without non-breaking blanks; the
# caller has normalised it (NFC, one kind of blank).

AUTO_REPLY_SUBJECT = re.compile(
    r"\W{0,3}(?:"
    r"auto(?:matic|mated)?[ -]?(?:reply|response)\b|auto:|out of (?:the )?office\b|ooo\b|away from (?:my|the)\b"
    r"|on vacation\b"
    r"|automatische (?:antwort|abwesenheit)|abwesenheits(?:notiz|benachrichtigung|meldung)|autoantwort|abwesend\b"
    r"|réponse automatique|absence du bureau|absente? du bureau|message d'absence"
    r"|respuesta autom[áa]tica|fuera de (?:la )?oficina"
    r"|risposta automatica|fuori (?:sede|ufficio)"
    r"|resposta autom[áa]tica|fora do escrit[óo]rio|aus[êe]ncia tempor[áa]ria"
    r"|automatisch antwoord|afwezigheids|afwezig\b"
    r"|automatyczna odpowied[źz]|odpowied[źz] automatyczna|autoodpowied[źz]|nieobecno[śs][ćc]"
    r"|autosvar|automatiskt? svar|frånvaro|automaattinen vastaus|automatická odpověď|automatikus válasz"
    r"|otomatik yanıt|автоматический ответ|автоответ|自動応答|自動返信|自动回复|自動回覆|자동 회신"
    r")",
    re.IGNORECASE,
)

_STARTERS: Final = (
    r"on|at|am|le|el|il|em|a|no dia|op|w dniu|dnia|pon|wt|śr|czw|pt|sob|niedz|den|på|the|dne|в|mon|tue|wed|thu|fri|sat"
    r"|sun|lun|mar|mer|mié|mie|jue|jeu|vie|ven|sáb|sam|dom|dim|gio|ma|di|wo|do|vr|za|zo|mo|mi|fr|so|seg|ter|qua|qui|sex"
)
ATTRIBUTION_START = re.compile(
    rf"(?:{_STARTERS})\b|\d{{4}}[-/年.]|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|[^:]{{1,80}}<|.{{0,40}}\d", re.IGNORECASE
)
"""How the first line of an attribution can begin: with a word of its language, or with a date near."""

ATTRIBUTION = re.compile(
    r"(?=.{0,400}\d|.{0,400}@)"  # a date or an address is always in it
    r".{0,400}(?:"
    r"\bwrote|\bwrites|\bschrieb(?: am [^:]{1,80})?(?: um \d{1,2}[:.]\d\d(?: Uhr)?)?|\bschrieb [^:]{1,200}"
    r"|\ba écrit|\bescribi[óo]|\bha scritto|\bescreveu(?: o seguinte| no dia [^:]{1,80})?"
    r"|\bschreef(?: [^:]{1,200})?|\bhet volgende geschreven"
    r"|\bnapisał(?:\(a\)|a)?(?: następujące słowa)?|\bpisze|\bskrev(?: [^:]{1,200})?|\bkirjoitti|\bnapsal\(?a?\)?"
    r"|\bнаписал(?:\(а\)|а)?|\bпишет|\bşunları yazdı|\bezt írta(?: \([^)]{1,80}\))?|のメール|書きました|写道|寫道|작성"
    r")\s?[:：]",
    re.IGNORECASE,
)
"""An attribution whole, its lines joined by blanks. For languages not listed: see ANY_ATTRIBUTION."""

ANY_ATTRIBUTION = re.compile(r"(?=.{0,300}\d).{0,200}<?[^\s<>@]{1,64}@[^\s<>@]{1,253}>?.{0,60}[:：]")
"""In any language: a date, an address and a colon at the end, right above quoted lines."""

_DASHED: Final = (
    r"original message|forwarded message|begin forwarded message|reply message"
    r"|original-nachricht|ursprüngliche nachricht|originalnachricht|weitergeleitete nachricht|ursprüngliche e-?mail"
    r"|message d'origine|message original|message transféré|courriel original"
    r"|mensaje original|mensaje reenviado|messaggio originale|messaggio inoltrato|messaggio di risposta"
    r"|mensagem original|mensagem encaminhada|oorspronkelijk bericht|doorgestuurd bericht"
    r"|oryginalna wiadomość|wiadomość oryginalna|wiadomość przekazana|ursprungligt meddelande|oprindelig meddelelse"
    r"|исходное сообщение|пересылаемое сообщение|原始邮件|原始郵件|转发邮件|元のメッセージ|원본 메시지"
)
DASHED = re.compile(rf"\W{{0,40}}[-_=*]{{2,}}[ \t]*(?:{_DASHED})\b.{{0,80}}|(?:{_DASHED})\s?[:：]?", re.IGNORECASE)
DASHES_AROUND = re.compile(r"[-_=]{3,}[ \t]?[^-_=\s][^-_=]{1,60}[ \t]?[-_=]{3,}")

_LABELS: Final = {
    "from": "from|von|de|da|van|od|från|fra|lähettäjä|feladó|gönderen|kimden|от|отправитель|差出人|发件人"
    "|寄件者|보낸 사람",
    "date": "sent|date|gesendet|datum|envoyé|envoyé le|date d'envoi|enviado|enviado el|enviada em|enviado em|fecha"
    "|inviato|inviato il|data|verzonden|wysłano|skickat|sendt|lähetetty|dato|отправлено|дата|送信日時|日付|日時"
    "|发送时间|日期|寄件日期|傳送時間|보낸 날짜|gönderildi|tarih|dátum|küldve",
    "to": "to|an|à|para|a|per|aan|do|till|til|vastaanottaja|címzett|kime|кому|宛先|收件人|收件者|받는 사람|cc|kopie|dw",
    "subject": "subject|betreff|betr|objet|asunto|oggetto|assunto|onderwerp|temat|ämne|emne|aihe|tárgy|konu|тема"
    "|件名|主题|主旨|제목",
}
LABEL = re.compile(
    r"[ \t]{0,8}[*_]{0,2}(?:"
    + "|".join(f"(?P<{name}>{words})" for name, words in _LABELS.items())
    + r")[*_]{0,2}[ \t\u00a0]?[:：](?=[ \t*_]|$|\S+@|[^\x00-\x7f])",
    re.IGNORECASE,
)
"""One line of the header block that Outlook and others put above what they quote."""

ANY_LABEL = re.compile(
    r"[ \t]{0,8}[*_]{0,2}(?P<label>[^\W\d_][^:：@<>\d]{0,24}?)[*_]{0,2}[ \t]?[:：](?=[ \t*_]|$|\S+@|[^\x00-\x7f])"
)
"""In any language: few words without a digit, and a colon. Of a header block only where more than it says so."""

_DEVICE: Final = (
    r"iphone|ipad|ios|android|samsung|galaxy|huawei|xiaomi|redmi|honor|pixel|nokia|sony|motorola|blackberry|outlook|windows"
    r"|yahoo|gmx|web\.de|gmail|proton|aol|mail|e-?mail|handy|smartphone|phone|mobile|tablet|tablette|téléphone|portable"
    r"|móvil|movil|celular|telefono|cellulare|telemóvel|telefoon|mobiel|telefonu|telefon|komórk\w*|thunderbird|laposte|orange"
)
SENT_FROM = re.compile(
    r"(?:"
    rf"(?:sent|composed) (?:from|with|via|using|by) [^.!?]{{0,40}}\b(?:{_DEVICE})\b[^.!?]{{0,40}}"
    rf"|(?:diese nachricht wurde )?von mein(?:em|er) [^.!?]{{0,40}}\b(?:{_DEVICE})\b[^.!?]{{0,40}} gesendet"
    rf"|(?:diese nachricht wurde )?gesendet (?:von|mit|über|aus)[^!?]{{0,40}}\b(?:{_DEVICE})\b[^!?]{{0,40}}"
    rf"|envoyé(?:e)? (?:de|depuis|à partir de|avec|via|par)[^!?]{{0,40}}\b(?:{_DEVICE})\b[^!?]{{0,40}}"
    rf"|enviado (?:desde|con|por|do|de|da|a partir d[eo]|pelo|via|através)[^!?]{{0,40}}\b(?:{_DEVICE})\b[^!?]{{0,40}}"
    rf"|inviato (?:da|dal|con|tramite)[^!?]{{0,40}}\b(?:{_DEVICE})\b[^!?]{{0,40}}"
    rf"|(?:verzonden|verstuurd) (?:vanaf|vanuit|met|via|van)[^!?]{{0,40}}\b(?:{_DEVICE})\b[^!?]{{0,40}}"
    rf"|wysłan[eoya]+ (?:z|za|przez)[^!?]{{0,40}}\b(?:{_DEVICE})\b[^!?]{{0,40}}"
    rf"|(?:skickat|sendt) (?:från|fra)[^!?]{{0,40}}\b(?:{_DEVICE})\b[^!?]{{0,40}}"
    r"|[^.!?]{0,40}\boutlook\b[^.!?]{0,25}\b(?:ios|android|mac)\b[^!?]{0,60}"
    r"|[^.!?]{0,20}\byahoo mail\b[^.!?]{0,40}"
    r")[.!]?",
    re.IGNORECASE,
)
"""The line that a mail program signs with."""

_CLOSINGS: Final = (
    r"(?:with )?(?:kind|kindest|best|warm|warmest|many)? ?regards|all the best|best wishes|best|yours|cheers|br|kr|rgds"
    r"|(?:yours )?(?:sincerely|faithfully|truly|respectfully)(?: yours)?"
    r"|(?:many |with )?thanks(?: again| a lot| so much| in advance| and (?:kind |best )?regards)?"
    r"|thank you(?: very much)?|thx"
    r"|(?:mit )?(?:freundlich\w*|best\w*|herzlich\w*|lieb\w*|schön\w*|viel\w*) (?:grüße\w*|gruß|grüsse\w*|gruss|dank)"
    r"|gruß|gruss|grüße|lg|vg|mfg|hochachtungsvoll|danke|danke sehr"
    r"|(?:bien |très )?cordialement|bien à vous|(?:sincères |meilleures |mes )?salutations(?: distinguées)?|cdlt"
    r"|merci(?: d'avance)?"
    r"|(?:un )?(?:cordial )?saludos?(?: cordial(?:es)?)?|atentamente|atte|(?:muchas )?gracias|un abrazo"
    r"|(?:cordiali|distinti) saluti|saluti|cordialmente|(?:grazie|grazie mille)|un saluto"
    r"|atenciosamente|att|(?:com os )?(?:melhores )?cumprimentos|abraços?|(?:muito )?obrigad[oa]|grat[oa]"
    r"|(?:met )?(?:vriendelijke|hartelijke) groet(?:en)?|groet(?:en|jes)?|mvg|bedankt|alvast bedankt"
    r"|z poważaniem|(?:serdecznie )?pozdrawiam(?: serdecznie)?|z wyrazami szacunku|dziękuję|pozdrowienia"
)
CLOSING = re.compile(rf"(?:{_CLOSINGS})\s?[,.!–-]*", re.IGNORECASE)
"""A line of greeting that ends a letter; what stands below it is a name and a signature."""

_DISCLAIMERS: Final = (
    r"confidential|privileged|intended|recipient|notify the sender|unauthori[sz]ed|disclos|viruses|registered office"
    r"|vertraulich|empfänger|irrtümlich|vernichten|unbefugt|absender|geschäftsführ|handelsregister"
    r"|sitz der gesellschaft"
    r"|confidentiel|destinataire|expéditeur|détruire|par erreur|divulgation"
    r"|confidencial|destinatari|destinatário|remitente|remetente|por error|por engano|divulgaci|divulgação|privilegiad"
    r"|riservat|mittente|per errore|divulgazione|vertrouwelijk|geadresseerde|afzender|uitsluitend|ten onrechte"
    r"|poufn|adresat|odbiorc|nadawc|omyłkow|rozpowszechni"
)
DISCLAIMER = re.compile(_DISCLAIMERS, re.IGNORECASE)
"""Words that several of make a paragraph at the end a lawyer's and not the writer's."""
