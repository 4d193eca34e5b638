"""What notices say to people, by language: title and text. Programs must not read these (reference 6).

Titles are those Gmail shows in each language; the sentences are the sandbox's own in the same sense.
"""

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
        "blocked": ("Message blocked", "Your message to {address} has been blocked. See technical details below."),
        "delayed": (
            "Delivery incomplete",
            (
                "There was a temporary problem delivering your message to {address}. Gmail will retry for {hours} more "
                "hours. You'll be notified if the delivery fails permanently."
            ),
        ),
        "gave_up": (
            "Message not delivered",
            "There was a problem delivering your message to {address}. See the technical details below.",
        ),
        "response": ("The response was:", "Learn more here: {link}"),
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
        "delayed": (
            "Zustellung unvollständig",
            (
                "Bei der Zustellung Ihrer Nachricht an {address} ist ein vorübergehendes Problem aufgetreten. Gmail "
                "versucht es weitere {hours} Stunden lang. Sie werden benachrichtigt, wenn sie endgültig fehlschlägt."
            ),
        ),
        "gave_up": (
            "Nachricht nicht zugestellt",
            "Bei der Zustellung Ihrer Nachricht an {address} ist ein Problem aufgetreten.",
        ),
        "response": ("Antwort:", "Weitere Informationen: {link}"),
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
        "delayed": (
            "Entrega incompleta",
            (
                "Ocorreu um problema temporário ao entregar sua mensagem a {address}. O Gmail tentará novamente por "
                "mais {hours} horas. Você será avisado se a entrega falhar de vez."
            ),
        ),
        "gave_up": (
            "Mensagem não entregue",
            "Ocorreu um problema ao entregar sua mensagem a {address}.",
        ),
        "response": ("A resposta foi:", "Saiba mais aqui: {link}"),
    },
    "fr": {
        "limit": (
            "Message non envoyé",
            "Vous avez atteint une limite d'envoi de messages. Votre message n'a pas été envoyé.",
        ),
        "address_not_found": (
            "Adresse introuvable",
            (
                "Votre message n'a pas été remis à {address}, car l'adresse est introuvable ou ne peut pas recevoir de "
                "messages."
            ),
        ),
        "too_large": (
            "Message trop volumineux",
            "Votre message n'a pas pu être remis à {address}, car il dépasse la taille maximale.",
        ),
        "inbox_full": (
            "Boîte de réception du destinataire pleine",
            "Votre message n'a pas pu être remis à {address}. La boîte de réception est pleine.",
        ),
        "blocked": ("Message bloqué", "Votre message à {address} a été bloqué."),
        "delayed": (
            "Distribution incomplète",
            (
                "Un problème temporaire est survenu lors de la remise de votre message à {address}. Gmail réessaiera "
                "pendant encore {hours} heures. Vous serez averti si la remise échoue définitivement."
            ),
        ),
        "gave_up": (
            "Message non distribué",
            "Un problème est survenu lors de la remise de votre message à {address}.",
        ),
        "response": ("Réponse :", "En savoir plus : {link}"),
    },
    "es": {
        "limit": (
            "Mensaje no enviado",
            "Has alcanzado un límite de envío de correo. Tu mensaje no se ha enviado.",
        ),
        "address_not_found": (
            "No se ha encontrado la dirección",
            (
                "Tu mensaje no se ha entregado a {address} porque no se ha encontrado la dirección o no puede recibir "
                "correo."
            ),
        ),
        "too_large": (
            "Mensaje demasiado grande",
            "No se ha podido entregar tu mensaje a {address} porque supera el tamaño máximo.",
        ),
        "inbox_full": (
            "Bandeja de entrada del destinatario llena",
            "No se ha podido entregar tu mensaje a {address}. La bandeja de entrada está llena.",
        ),
        "blocked": ("Mensaje bloqueado", "Tu mensaje a {address} se ha bloqueado."),
        "delayed": (
            "Entrega incompleta",
            (
                "Se ha producido un problema temporal al entregar tu mensaje a {address}. Gmail lo intentará durante "
                "{hours} horas más. Recibirás un aviso si la entrega falla definitivamente."
            ),
        ),
        "gave_up": (
            "Mensaje no entregado",
            "Se ha producido un problema al entregar tu mensaje a {address}.",
        ),
        "response": ("La respuesta fue:", "Más información: {link}"),
    },
}
