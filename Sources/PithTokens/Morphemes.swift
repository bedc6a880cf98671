/// English words with the boundaries of their morphemes, for measuring whether tokens end where morphemes do.
///
/// The cut is the one in writing: where a stem changes at the seam, its changed letters stay with the stem.
package enum Morphemes {
    /// Derivations and compounds; `|` stands between morphemes.
    package static let words: [String] =
        """
        un|happi|ness un|break|able un|like|ly un|fair|ly un|certain|ty un|employ|ment un|expect|ed|ly un|friend|ly
        un|usual|ly un|read|able re|write re|build|ing re|place|ment re|open|ed re|consider re|arrange|ment re|act|ion
        re|produc|tion re|organ|ize re|use|able dis|agree|ment dis|connect|ed dis|honest|ly dis|appear|ance
        dis|like dis|order|ly dis|place|ment dis|color|ation mis|understand|ing mis|lead|ing mis|place|d mis|use
        mis|behav|ior pre|view pre|histor|ic pre|pay|ment pre|determin|ed over|load|ed over|write over|flow|ing
        over|estimat|ion under|stand|able under|line under|ground under|estimat|ed out|put out|side out|line|d
        in|put in|complete in|correct|ly in|depend|ent in|visible in|direct|ly im|possible im|polite|ness
        im|perfect|ion ir|regular ir|respons|ible il|legal il|logic|al non|sense non|linear non|exist|ent
        inter|nation|al inter|act|ive inter|connect|ion sub|way sub|marine sub|title|s super|market super|natur|al
        trans|port|ation trans|form|ation anti|body anti|social auto|mobile auto|matic|ally counter|act
        fore|see|able fore|ground kind|ness dark|ness weak|ness ill|ness happi|ness lone|li|ness useful|ness
        aware|ness great|ness bright|ness friend|ship owner|ship leader|ship hard|ship child|hood neighbor|hood
        brother|hood free|dom king|dom wis|dom teach|er work|er|s farm|er print|er|s compil|er own|er|s develop|er|s
        act|or direct|or|s visit|or|s edit|or|ial govern|ment|al develop|ment argu|ment move|ment pay|ment|s
        state|ment|s require|ment|s environ|ment|al judg|ment treat|ment agree|ment care|ful|ly use|ful help|ful|ness
        power|ful beauti|ful|ly hope|less home|less care|less|ness end|less|ly use|less wire|less quick|ly slow|ly
        usual|ly final|ly current|ly easi|ly read|able port|able accept|able comfort|able avail|abil|ity
        respons|ibil|ity possib|ility activ|ity real|ity electric|ity nation|al|ity person|al|ity simpl|icity
        complex|ity nation|al tradition|al education|al music|al logic|al|ly histor|ic|al econom|ic|al critic|ism
        capital|ism real|ism hero|ism art|ist|ic scient|ist journal|ist special|ist modern|ize real|ize|d
        organ|iz|ation civil|iz|ation standard|ize|d class|ific|ation simpl|ify ident|ify|ing informa|tion
        compress|ion express|ion product|ion construct|ion direct|ion|s select|ion educat|ion creat|ion
        walk|ing read|ing writ|ing print|ed start|ed open|ed play|ing work|ed tall|er tall|est strong|er dark|en
        wid|en|ing strength|en short|en|ed fool|ish green|ish child|ish danger|ous fam|ous poison|ous glori|ous
        act|ive creat|ive effect|ive|ly attract|ive cloud|y rain|y sleep|y|ness wind|y back|ward for|ward|s
        like|wise clock|wise book|shop key|board note|book rail|way sun|light black|bird foot|ball fire|place
        door|way grand|mother sea|side home|work water|fall news|paper air|port data|base soft|ware work|shop
        """.split { $0 == " " || $0 == "\n" }.map(String.init)

    /// The bytes of a word, and where its inner boundaries are.
    package static func parse(_ word: String) -> (bytes: [UInt8], boundaries: Set<Int>) {
        let parts = word.split(separator: "|")
        var (bytes, boundaries) = ([UInt8](), Set<Int>())
        for part in parts {
            if !bytes.isEmpty { boundaries.insert(bytes.count) }
            bytes += part.utf8
        }
        return (bytes, boundaries)
    }
}
