//! Texts of the demo's messages: a little of several languages, all our own.

use super::random::Random;

/// Building blocks of messages in one language.
#[derive(Debug)]
pub struct Language {
    /// RFC 5646 tag.
    pub tag: &'static str,
    /// Written from right to left.
    pub right_to_left: bool,
    /// Charsets besides UTF-8 that can hold its texts, as MIME names.
    pub charsets: &'static [&'static str],
    /// Who writes it.
    pub writer: (&'static str, &'static str),
    /// Subjects.
    pub subjects: &'static [&'static str],
    /// Openings; `{}` stands for the reader's name.
    pub openings: &'static [&'static str],
    /// Sentences.
    pub sentences: &'static [&'static str],
    /// Closings.
    pub closings: &'static [&'static str],
}

impl Language {
    /// A letter in paragraphs, lines ended by CRLF, not wrapped.
    pub fn letter(&self, random: &mut Random, reader: &str, paragraphs: usize) -> String {
        let mut out = random.word(self.openings).replace("{}", reader);
        out.push_str("\r\n\r\n");
        let space = if matches!(self.tag, "ja" | "zh-Hans" | "zh-Hant") { "" } else { " " };
        for _ in 0..paragraphs {
            let start = random.below(self.sentences.len());
            let count = 2 + random.below(3);
            let chosen: Vec<&str> =
                (0..count).map(|i| self.sentences[(start + i) % self.sentences.len()]).collect();
            out.push_str(&chosen.join(space));
            out.push_str("\r\n\r\n");
        }
        out.push_str(random.word(self.closings));
        out.push_str("\r\n");
        out.push_str(self.writer.0);
        out.push_str("\r\n");
        out
    }
}

/// English, the first of [`LANGUAGES`].
pub const ENGLISH: &Language = &LANGUAGES[0];

/// All languages.
pub static LANGUAGES: [Language; 10] = [
    Language {
        tag: "en",
        right_to_left: false,
        charsets: &["us-ascii", "iso-8859-1"],
        writer: ("Maud Ellery", "maud.ellery@harbourprint.example"),
        subjects: &[
            "Proofs for the spring catalogue",
            "Lunch on Thursday?",
            "Keys to the workshop",
            "The roof again",
            "Your library books",
            "Minutes of the garden committee",
        ],
        openings: &["Dear {},", "Hello {},", "Hi {},"],
        sentences: &[
            "The proofs came back this morning and only page nine needs another look.",
            "Could you check whether the blue is still too dark?",
            "We have moved the meeting to the small room, because the large one is being painted.",
            "The delivery is expected on Tuesday before noon.",
            "Nobody has found the second key yet, so please ring the bell.",
            "I have put the figures into the shared folder.",
            "If it rains we will do it the week after.",
            "Please let me know by Friday what you think.",
        ],
        closings: &["Best wishes", "Many thanks", "See you soon"],
    },
    Language {
        tag: "de",
        right_to_left: false,
        charsets: &["iso-8859-1", "iso-8859-15", "windows-1252"],
        writer: ("Jörg Bärwinkel", "joerg.baerwinkel@muehlenbau.example"),
        subjects: &[
            "Rückfrage zur Lieferung",
            "Schlüssel für die Werkstatt",
            "Einladung zum Sommerfest",
            "Änderung der Öffnungszeiten",
        ],
        openings: &["Liebe/r {},", "Guten Tag {},"],
        sentences: &[
            "Die Mühle läuft wieder, aber das Getriebe macht noch Geräusche.",
            "Könntest du bitte prüfen, ob die Maße der Türen stimmen?",
            "Für nächste Woche haben wir größere Mengen bestellt.",
            "Der Schlüssel hängt wie üblich hinter der grünen Tür.",
            "Über die Kosten sprechen wir am besten mündlich.",
            "Außerdem fehlt noch die Unterschrift auf dem Prüfbericht.",
        ],
        closings: &["Viele Grüße", "Mit freundlichen Grüßen"],
    },
    Language {
        tag: "el",
        right_to_left: false,
        charsets: &["windows-1253", "iso-8859-7"],
        writer: ("Ελένη Μαυρίδη", "eleni.mavridi@eliofyto.example"),
        subjects: &["Η παραγγελία του λαδιού", "Αλλαγή ώρας για το μάθημα", "Φωτογραφίες από το νησί"],
        openings: &["Αγαπητέ {},", "Γεια σου {},"],
        sentences: &[
            "Το λάδι της νέας σοδειάς είναι έτοιμο και πολύ καλό.",
            "Μπορείς να μου πεις πόσα δοχεία θέλεις;",
            "Το μάθημα της Τρίτης θα γίνει μία ώρα αργότερα.",
            "Σου στέλνω και δύο φωτογραφίες από το λιμάνι.",
            "Ο καιρός εδώ είναι ακόμα ζεστός.",
        ],
        closings: &["Με εκτίμηση", "Φιλικά"],
    },
    Language {
        tag: "es",
        right_to_left: false,
        charsets: &["iso-8859-1", "windows-1252"],
        writer: ("Íñigo Peñalver", "inigo.penalver@talleres.example"),
        subjects: &["¿Comemos mañana?", "Presupuesto de la reparación", "Cambio de año escolar"],
        openings: &["Hola {}:", "Estimado/a {}:"],
        sentences: &[
            "Te envío el presupuesto que pediste la semana pasada.",
            "El técnico vendrá mañana después de las cinco.",
            "¿Puedes confirmar la dirección del almacén?",
            "Los niños empiezan el curso el día nueve.",
            "Aún falta una pieza pequeña, pero llegará pronto.",
        ],
        closings: &["Un saludo", "Muchas gracias"],
    },
    Language {
        tag: "fr",
        right_to_left: false,
        charsets: &["iso-8859-1", "iso-8859-15", "windows-1252"],
        writer: ("Aurélie Gérôme", "aurelie.gerome@boulangerie.example"),
        subjects: &["Le four est réparé", "Réunion déplacée à jeudi", "Déjeuner de fin d'été"],
        openings: &["Bonjour {},", "Cher/Chère {},"],
        sentences: &[
            "Le four a été réparé hier et la pâte lève enfin comme il faut.",
            "Pourrais-tu vérifier la quantité de farine à commander ?",
            "La réunion est déplacée à jeudi, à la même heure.",
            "Il nous reste à régler la question des clés.",
            "Là-bas, tout le monde a été très gentil.",
        ],
        closings: &["Bien à toi", "Cordialement"],
    },
    Language {
        tag: "ja",
        right_to_left: false,
        charsets: &["iso-2022-jp", "shift_jis", "euc-jp"],
        writer: ("山本春香", "haruka.yamamoto@kissaten.example"),
        subjects: &["来週の打ち合わせについて", "写真を送ります", "ご注文ありがとうございます"],
        openings: &["{}様", "{}さん、こんにちは。"],
        sentences: &[
            "来週の打ち合わせは水曜日の午後三時に変更になりました。",
            "資料は明日の朝までにお送りします。",
            "新しいコーヒー豆がとても好評です。",
            "お時間のあるときにご確認ください。",
            "駅前の工事はまだ続いています。",
        ],
        closings: &["よろしくお願いいたします。", "それでは、また。"],
    },
    Language {
        tag: "zh-Hans",
        right_to_left: false,
        charsets: &["gb18030", "gb2312"],
        writer: ("李文静", "li.wenjing@chaguan.example"),
        subjects: &["关于下周的会议", "新茶到了", "请确认送货地址"],
        openings: &["{}，您好：", "亲爱的{}："],
        sentences: &[
            "下周的会议改到星期三下午举行。",
            "新茶昨天到了，味道很好。",
            "请您确认一下送货的地址。",
            "仓库的门现在由小王负责。",
            "如果下雨，我们就改天再去。",
        ],
        closings: &["祝好", "此致敬礼"],
    },
    Language {
        tag: "zh-Hant",
        right_to_left: false,
        charsets: &["big5"],
        writer: ("陳雅婷", "chen.yating@shudian.example"),
        subjects: &["書店週年活動", "關於訂書的問題", "照片收到了"],
        openings: &["{}，您好：", "親愛的{}："],
        sentences: &[
            "書店的週年活動將在下個月舉行。",
            "您訂的三本書已經寄出。",
            "照片收到了，拍得很漂亮。",
            "請在星期五以前回覆。",
            "新的地址在車站旁邊。",
        ],
        closings: &["敬祝平安", "謝謝"],
    },
    Language {
        tag: "ru",
        right_to_left: false,
        charsets: &["koi8-r", "windows-1251", "iso-8859-5"],
        writer: ("Вера Лисицына", "vera.lisitsyna@masterskaya.example"),
        subjects: &["Вопрос по чертежам", "Встреча в среду", "Фотографии с дачи"],
        openings: &["Здравствуйте, {}!", "Привет, {}!"],
        sentences: &[
            "Чертежи готовы, осталось проверить размеры второй детали.",
            "Встреча переносится на среду, на три часа.",
            "Яблок в этом году очень много, приезжайте.",
            "Напишите, пожалуйста, когда вам удобно.",
            "Ключ лежит на том же месте.",
        ],
        closings: &["С уважением", "До встречи"],
    },
    Language {
        tag: "ar",
        right_to_left: true,
        charsets: &["windows-1256", "iso-8859-6"],
        writer: ("ليلى حداد", "layla.haddad@maktaba.example"),
        subjects: &["موعد الاجتماع القادم", "صور من الرحلة", "وصلت الكتب الجديدة"],
        openings: &["مرحبا {}", "السيد {} المحترم"],
        sentences: &[
            "وصلت الكتب الجديدة إلى المكتبة أمس.",
            "سيكون الاجتماع القادم يوم الثلاثاء في الساعة العاشرة.",
            "أرجو أن ترسل لي العنوان الصحيح.",
            "الطقس جميل هنا هذه الأيام.",
            "أرسلت لك بعض الصور من الرحلة.",
        ],
        closings: &["مع أطيب التحيات", "شكرا جزيلا"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::Encoding;

    #[test]
    fn every_charset_holds_its_language() {
        for language in &LANGUAGES {
            let all = [language.subjects, language.openings, language.sentences, language.closings].concat();
            for label in language.charsets {
                let encoding = Encoding::for_label(label.as_bytes()).unwrap();
                for text in all.iter().copied().chain([language.writer.0]) {
                    assert!(!encoding.encode(text).2, "{label} cannot hold {text}");
                }
            }
        }
    }
}
