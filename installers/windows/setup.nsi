; The set-up for Windows: per user, no administrator. Run by build.py, which defines VERSION, FOUR_NUMBERS, PAYLOAD, OUTFILE,
; UNINSTALL_KEY, UNINSTALL_LIST, KILOBYTES and, where there is one, ICON.
;
; setup.exe /S             without a window; also over an older version
; setup.exe /S /D=C:\path  elsewhere
; uninstall.exe /S         without a window; the person's data stays
; uninstall.exe /S /DATA   and the data goes too

Unicode true
Target amd64-unicode
ManifestDPIAware true
SetCompressor /SOLID lzma
RequestExecutionLevel user

!include "MUI2.nsh"
!include "FileFunc.nsh"
!include "WordFunc.nsh"
!include "LogicLib.nsh"

!define NAME "QVAC Desktop"
!define COMMAND "qvac-desktop.exe"
!define WINDOW "qvac-desktop-window.exe"
!define LINK_KEY "Software\Classes\qvac"
!define SERVICE "QVAC Desktop provider" ; the task that `provider --install-service` makes

Name "${NAME}"
OutFile "${OUTFILE}"
InstallDir "$LOCALAPPDATA\Programs\QVAC Desktop"
InstallDirRegKey HKCU "${UNINSTALL_KEY}" "InstallLocation"
BrandingText "${NAME} ${VERSION}"
VIProductVersion "${FOUR_NUMBERS}"
VIAddVersionKey /LANG=0 "ProductName" "${NAME}"
VIAddVersionKey /LANG=0 "FileDescription" "${NAME} set-up"
VIAddVersionKey /LANG=0 "FileVersion" "${VERSION}"
VIAddVersionKey /LANG=0 "LegalCopyright" "Apache-2.0"
!ifdef ICON
  !define MUI_ICON "${ICON}"
  !define MUI_UNICON "${ICON}"
!endif

!define MUI_ABORTWARNING
!define MUI_FINISHPAGE_RUN "$INSTDIR\${WINDOW}"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "German"
!insertmacro MUI_LANGUAGE "Arabic"

LangString RUNNING ${LANG_ENGLISH} "QVAC Desktop is running. Quit it, also in the tray, then try again."
LangString RUNNING ${LANG_GERMAN} "QVAC Desktop läuft noch. Beenden Sie es, auch im Infobereich, und versuchen Sie es erneut."
LangString RUNNING ${LANG_ARABIC} "QVAC Desktop قيد التشغيل. أنهه، في شريط النظام أيضًا، ثم أعد المحاولة."
LangString ENDING ${LANG_ENGLISH} "QVAC Desktop is asked to end…"
LangString ENDING ${LANG_GERMAN} "QVAC Desktop wird gebeten, sich zu beenden …"
LangString ENDING ${LANG_ARABIC} "يُطلب من QVAC Desktop أن ينتهي…"
LangString DATA ${LANG_ENGLISH} "Remove your conversations, your identity and your models as well? This cannot be undone."
LangString DATA ${LANG_GERMAN} "Auch Ihre Gespräche, Ihre Identität und Ihre Modelle entfernen? Das lässt sich nicht rückgängig machen."
LangString DATA ${LANG_ARABIC} "هل تُزال محادثاتك وهويتك ونماذجك أيضًا؟ لا يمكن التراجع عن ذلك."
LangString NEWER ${LANG_ENGLISH} "A newer version is installed. Uninstall it first, if you want this one."
LangString NEWER ${LANG_GERMAN} "Eine neuere Version ist installiert. Deinstallieren Sie diese zuerst, wenn Sie die ältere möchten."
LangString NEWER ${LANG_ARABIC} "نُصب إصدار أحدث. أزله أولًا إن أردت هذا الإصدار."

; What runs is asked to end by the program itself, whatever its windows are called and however many there are; the service
; is stopped. An executable that runs cannot be opened for writing: until both can be, fifteen seconds more.
!macro WAIT_FOR_END un
Function ${un}IsFree ; the file on the stack; 1 or 0 comes back
  Exch $R1
  IfFileExists "$R1" 0 free
  ClearErrors
  FileOpen $R2 "$R1" a
  IfErrors taken
  FileClose $R2
  free:
    StrCpy $R1 1
    Goto said
  taken:
    StrCpy $R1 0
  said:
  Exch $R1
FunctionEnd

Function ${un}WaitForEnd
  StrCpy $R0 0
  again:
    Push "$INSTDIR\${WINDOW}"
    Call ${un}IsFree
    Pop $R3
    Push "$INSTDIR\${COMMAND}"
    Call ${un}IsFree
    Pop $R4
    ${If} $R3 = 1
    ${AndIf} $R4 = 1
      Goto ended
    ${EndIf}
    ${If} $R0 = 0
      DetailPrint "$(ENDING)"
      nsExec::Exec 'schtasks /End /TN "${SERVICE}"'
      Pop $R3
      ClearErrors
      ExecWait '"$INSTDIR\${WINDOW}" --quit'
    ${EndIf}
    IntOp $R0 $R0 + 1
    ${If} $R0 < 30
      Sleep 500
      Goto again
    ${EndIf}
    MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "$(RUNNING)" /SD IDCANCEL IDRETRY retry
    SetErrorLevel 3
    Abort
  retry:
    StrCpy $R0 0
    Goto again
  ended:
FunctionEnd
!macroend
!insertmacro WAIT_FOR_END ""
!insertmacro WAIT_FOR_END "un."

Section "-install"
  ; An older set-up over a newer program would leave data that the older one cannot read.
  ReadRegStr $R3 HKCU "${UNINSTALL_KEY}" "FourNumbers"
  ${If} $R3 != ""
    ${VersionCompare} $R3 "${FOUR_NUMBERS}" $R4
    ${If} $R4 = 1
      MessageBox MB_OK|MB_ICONSTOP "$(NEWER)" /SD IDOK
      SetErrorLevel 4
      Abort
    ${EndIf}
  ${EndIf}
  Call WaitForEnd
  ; What the version before laid down goes first: a library that is no longer shipped must not be found.
  ReadRegStr $R3 HKCU "${UNINSTALL_KEY}" "UninstallString"
  ${If} $R3 != ""
  ${AndIf} ${FileExists} "$INSTDIR\uninstall.exe"
    ExecWait '"$INSTDIR\uninstall.exe" /S /UPGRADE _?=$INSTDIR'
  ${EndIf}
  SetOutPath "$INSTDIR"
  SetOverwrite on
  File /r "${PAYLOAD}/*"
  WriteUninstaller "$INSTDIR\uninstall.exe"

  CreateShortCut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\${WINDOW}"

  ; The command: where a person's own commands are looked for.
  CreateDirectory "$LOCALAPPDATA\Microsoft\WindowsApps"
  FileOpen $R1 "$LOCALAPPDATA\Microsoft\WindowsApps\qvac-desktop.cmd" w
  FileWrite $R1 '@"$INSTDIR\${COMMAND}" %*$\r$\n'
  FileClose $R1

  WriteRegStr HKCU "${LINK_KEY}" "" "URL:${NAME}"
  WriteRegStr HKCU "${LINK_KEY}" "URL Protocol" ""
  WriteRegStr HKCU "${LINK_KEY}\DefaultIcon" "" "$INSTDIR\${WINDOW},0"
  WriteRegStr HKCU "${LINK_KEY}\shell\open\command" "" '"$INSTDIR\${WINDOW}" "%1"'

  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayName" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "FourNumbers" "${FOUR_NUMBERS}"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "DisplayIcon" "$INSTDIR\${WINDOW}"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "Publisher" "QVAC Desktop authors"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL_KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL_KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "EstimatedSize" ${KILOBYTES}
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL_KEY}" "NoRepair" 1

  ; A service that was stopped above goes on with the new program; without one this says so and does nothing.
  nsExec::Exec 'schtasks /Run /TN "${SERVICE}"'
  Pop $R3
SectionEnd

Section "Uninstall"
  Call un.WaitForEnd
  !include "${UNINSTALL_LIST}"
  ${GetParameters} $R5
  ClearErrors
  ${GetOptions} $R5 "/UPGRADE" $R6
  ${If} ${Errors} ; a real uninstall, not the first half of an upgrade
    nsExec::Exec 'schtasks /Delete /TN "${SERVICE}" /F'
    Pop $R3
    Delete "$SMPROGRAMS\${NAME}.lnk"
    Delete "$LOCALAPPDATA\Microsoft\WindowsApps\qvac-desktop.cmd"
    DeleteRegKey HKCU "${LINK_KEY}"
    DeleteRegKey HKCU "${UNINSTALL_KEY}"
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "${NAME}"
    StrCpy $R7 0
    ClearErrors
    ${GetOptions} $R5 "/DATA" $R6
    ${IfNot} ${Errors}
      StrCpy $R7 1
    ${Else}
      MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "$(DATA)" /SD IDNO IDNO keep
      StrCpy $R7 1
      keep:
    ${EndIf}
    ${If} $R7 = 1
      RMDir /r "$LOCALAPPDATA\qvac-desktop"
    ${EndIf}
  ${EndIf}
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
SectionEnd
