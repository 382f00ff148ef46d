"""Replies that say that there is no image, none of which answers a question about one.

Said is that nothing was given or came through; a finding that "no image shows", or an image that
"is missing the apex", is an answer.
"""

_WHICH = (
    r"(?:(?:medical|actual|attached|uploaded|input|radiology|chest|corresponding|such|visible|"
    r"accompanying|relevant|x-ray|ct|mri)\s){0,2}"
)
_IMAGE = (
    rf"{_WHICH}(?:images?|pictures?|photos?|photographs?|scans?|attachments?|files?|x-rays?|"
    r"radiographs?|visuals?)(?![\w-])"
)
_THE = r"(?:an?|any|the|your|that|this|its?|one|no|more)\s"
_GIVEN = (
    r"(?:provided|attached|uploaded|included|shared|given|supplied|sent|received|found|submitted|"
    r"loaded|displayed|visible to me|available to me|available|present|here)"
)
_TALK = (
    r"(?:(?:in|with|to|along with)\s(?:the|your|this|our|my)\s(?:message|request|question|prompt|"
    r"conversation|chat|context|input|query|post)|here|for me|to me|yet|so far|by you)"
)
_ENDS = rf"(?:\s{_TALK})*(?=\s*(?:[.!?,;:)]|$|so\b|and\b|but\b|therefore\b|to\b|\(|-\s))"
_BE = (
    r"(?:was|were|is|are|has been|have been|seems? to (?:be|have been)"
    r"|appears? to (?:be|have been))"
)
_FAILED = (
    r"(?:did not|didn't|does not|doesn't|could not|couldn't|failed to|has not|hasn't|seems not to)"
)
ENGLISH = (
    rf"\bno {_IMAGE}(?:\s{_BE})?(?:\sactually)?\s{_GIVEN}{_ENDS}"
    rf"|\bthere(?: is|'s| are| was| were)(?: no|n't (?:an?|any)| not (?:an?|any)) {_IMAGE}"
    rf"(?:\s{_GIVEN})?{_ENDS}"
    rf"|\bthere (?:doesn't|does not|don't|do not) (?:appear|seem) to be (?:an?|any) {_IMAGE}"
    rf"|\b{_IMAGE} (?:is|are|was|were|seems?|appears?)(?: to be)?(?: currently)?"
    rf"\s(?:missing|absent|empty|not {_GIVEN}){_ENDS}"
    rf"|\b{_IMAGE} (?:{_FAILED})\s(?:come|came|get|load|arrive|upload|attach|open|been|be)\b"
    rf"|\b{_IMAGE} (?:that )?you (?:mentioned|provided|uploaded|shared|sent|attached|described)"
    rf"\s(?:is|was|are|were) not {_GIVEN}{_ENDS}"
    rf"|\b{_IMAGE} not {_GIVEN}{_ENDS}|\bmissing {_IMAGE}{_ENDS}"
    r"|\b(?:i|we) (?:did not|didn't|have not|haven't|do not|don't|never|cannot|can't)(?: actually)?"
    rf" (?:receive|received|get|gotten|got|been given|been shown|find|locate|have) {_THE}{_IMAGE}"
    r"|\byou (?:have not|haven't|did not|didn't|forgot to|may have forgotten to"
    r"|might have forgotten "
    r"to|have forgotten to|may not have|seem to have forgotten to)(?: actually| yet)?"
    r" (?:provided?|attach(?:ed)?|upload(?:ed)?|include(?:d)?|share(?:d)?|sen[dt]|given|give)"
    rf" {_THE}{_IMAGE}"
    rf"|\bwithout (?:access to |seeing |viewing |having "
    rf"|being able to see )?{_THE}{_IMAGE}[^.\n]{{0,60}}"
    r"\bi (?:cannot|can't|could not|couldn't|am unable|am not able)"
    r"|\b(?:could|can|would|will) you (?:please |kindly )?(?:re-?)?(?:upload|attach"
    r"|share|send|provide)\b"
    rf"|\b(?:please|kindly) (?:re-?)?(?:upload|attach|share|send|provide) {_THE}{_IMAGE}"
)
OTHERS = (
    r"\bkeine? (?:bild|bilder|aufnahme|foto|anhang|röntgenbild)\w*(?:\s(?:\w+\s){0,2}?)?"
    r"(?:hochgeladen|bereitgestellt|angehängt|übermittelt|vorhanden|beigefügt"
    r"|mitgeschickt|erhalten)"
    r"|(?:没有|未|沒有|并未)(?:收到|提供|上传|上傳|附上|附带|接收到)(?:任何|相关|您的|该|具体|的)*"
    r"(?:图像|图片|影像|照片|圖片|圖像|附件)|(?:图像|图片|影像|圖片|圖像)(?:未|没有|沒有)(?:被)?"
    r"(?:提供|上传|上傳|加载|显示|附上)"
    r"|\bno se (?:ha|han)?\s?(?:proporcionado|adjuntado|incluido|subido|enviado"
    r"|proporcionó|adjuntó)"
    r" (?:ningun\w+|la|las|una) (?:imagen|imágenes|foto|radiograf)"
    r"|\bno (?:hay|veo|recibí|he recibido) ninguna (?:imagen|foto)\w*(?:\s(?:adjunta"
    r"|aquí))?\s*(?:[.,;]|$)"
    r"|\baucune (?:image|photo|radiographie)s? n['e ]\s?(?:a |est )?(?:été )?(?:fournie|jointe|"
    r"transmise|téléchargée|visible|partagée)|\bje n'ai (?:pas )?reçu (?:d'|aucune )image"
    r"|\bnenhuma (?:imagem|foto) (?:foi )?(?:fornecida|anexada|enviada|carregada)"
    r"|\bnessuna immagine (?:è stata )?(?:fornita|allegata|caricata|inviata)"
    r"|\ber is geen (?:afbeelding|foto|scan) (?:bijgevoegd|meegestuurd|geüpload|verstrekt)"
    r"|(?:изображени[ея]|снимок|фото\w*) не (?:был[оаи]? )?(?:предоставлен|прикреплен|прикреплён|"
    r"приложен|загружен)"
    r"|(?:画像|写真)(?:が|は)(?:添付|提供|アップロード|共有|送信)されていません|画像が(?:ありません|見当たりません)"
    r"|(?:이미지|사진|영상)(?:가|이|을|를)? "
    r"(?:제공되지|첨부되지|업로드되지|받지|공유되지) (?:않|못)"
    r"|لم يتم (?:تقديم|إرفاق|تحميل) (?:أي )?صورة"
)
