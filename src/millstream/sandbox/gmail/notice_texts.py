"""What notices say to people, by language: title and text. Programs must not read these (reference 6)."""

from typing import Final

TEXTS: Final = {
    "en": {
        "limit": (
            "Message not sent",
            "You have reached a limit for sending mail. Your message was not sent.",
        ),
        "address_not_found": (
            "Address not found",
            (
                "Your message wasn't delivered to {address} because the address couldn't be found, or is unable to "
                "receive mail."
            ),
        ),
        "too_large": (
            "Message too large",
            "Your message couldn't be delivered to {address} because it exceeds the size limit.",
        ),
        "inbox_full": (
            "Recipient inbox full",
            (
                "Your message couldn't be delivered to {address}. Their inbox is full, or it's getting too much mail "
                "right now."
            ),
        ),
        "blocked": ("Message blocked", "Your message to {address} has been blocked."),
    },
    "de": {
        "limit": (
            "Nachricht nicht gesendet",
            "Sie haben ein Limit für das Senden von E-Mails erreicht. Ihre Nachricht wurde nicht gesendet.",
        ),
        "address_not_found": (
            "Adresse nicht gefunden",
            (
                "Ihre Nachricht wurde nicht an {address} zugestellt, weil die Adresse nicht gefunden wurde oder keine "
                "E-Mails empfangen kann."
            ),
        ),
        "too_large": (
            "Nachricht zu groß",
            "Ihre Nachricht konnte nicht an {address} zugestellt werden, da sie die maximale Größe überschreitet.",
        ),
        "inbox_full": (
            "Postfach des Empfängers voll",
            "Ihre Nachricht konnte nicht an {address} zugestellt werden. Das Postfach ist voll.",
        ),
        "blocked": ("Nachricht blockiert", "Ihre Nachricht an {address} wurde blockiert."),
    },
    "pt": {
        "limit": (
            "Mensagem não enviada",
            "Você atingiu um limite de envio de e-mails. Sua mensagem não foi enviada.",
        ),
        "address_not_found": (
            "Endereço não encontrado",
            (
                "Sua mensagem não foi entregue a {address} porque o endereço não foi encontrado ou não pode receber "
                "e-mails."
            ),
        ),
        "too_large": (
            "Mensagem muito grande",
            "Não foi possível entregar a mensagem a {address} porque ela excede o limite de tamanho.",
        ),
        "inbox_full": (
            "Caixa de entrada do destinatário cheia",
            "Não foi possível entregar a mensagem a {address}. A caixa de entrada está cheia.",
        ),
        "blocked": ("Mensagem bloqueada", "Sua mensagem para {address} foi bloqueada."),
    },
}
